"""Views of a scene from its photographs, from start to report."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from PIL import Image

import experiments
from jaxcv.cameras.view import Scene
from jaxcv.data.captures import Capture, blender
from jaxcv.data.tabletop import desk, fibonacci, orbit, render
from jaxcv.errors import UserError
from jaxcv.train import run
from jaxcv.train.config import load

SIDE, TRAIN, TEST = 20, 12, 2
KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def capture(tmp_path_factory):
    """The desk from 14 sides, as a folder of pictures and transforms.json."""
    folder = tmp_path_factory.mktemp('desk')
    cameras, files = orbit(fibonacci(TRAIN + TEST), SIDE), []
    look = jax.jit(render)
    for i in range(TRAIN + TEST):
        pixels = np.round(255 * np.asarray(look(desk(), cameras[i]).image)).astype(np.uint8)
        files.append(folder / f'{i}.png')
        Image.fromarray(pixels).save(files[-1])
    # The world of the capture is twice as large as the box, and shifted.
    pose = np.array(cameras.pose, np.float64)
    pose[:, :, 3] = 2 * pose[:, :, 3] - pose[:, :, :3] @ [1.0, 0.0, 0.0]
    test = np.array([3, 9])
    blender.write(
        folder,
        Capture(
            cameras=jax.tree.map(np.asarray, cameras.__class__(
                pose, cameras.focal, cameras.center, cameras.lens, SIDE, SIDE
            )),
            images=tuple(files),
            channels=4,
            splits={'train': np.setdiff1d(np.arange(TRAIN + TEST), test), 'test': test},
        ),
    )  # fmt: skip
    return folder


def config(folder, name='ngp_scene', **changes):
    found = load(
        f'configs/radiance/{name}.py',
        {
            'data.name': 'capture',
            'data.path': str(folder),
            'data.image_size': 0,
            'box.center': (1.0, 0.0, 0.0),
            'box.half': 2.0,
            'train.batch_size': 256,
            'train.steps': 150,
            'train.eval_every': 0,
            'viewed.chunk': 200,
            'viewed.frames': 2,
        },
    )
    for field, value in changes.items():
        found.update_from_flattened_dict({field.replace('__', '.'): value})
    return found


SMALL = {
    'field__levels': 4, 'field__coarsest': 8, 'field__rows': 2**12, 'renderer__cells': 16,
    'renderer__steps': 64, 'renderer__per_ray': 32.0,
}  # fmt: skip


@pytest.mark.usefixtures('optimized')
def test_a_scene_is_learned(capture, tmp_path):
    """Better than 20 dB from sides that were not seen: white alone has 9, exchanged cameras 16."""
    settings = config(capture, **SMALL)
    made = experiments.build(settings)
    result = run(made, settings, tmp_path / 'run')
    assert result.metrics['psnr'] > 20 and result.metrics['ssim'] > 0.5
    assert {p.stem.split('_')[0] for p in (tmp_path / 'run/media').iterdir()} >= {'views', 'orbit'}
    scene = made.export(result.state)
    density = scene.renderer.density(scene.params, jnp.array([[0.0, 0, -0.3], [0, 0, 0.9]]))
    assert density[0] > 10 * density[1]  # the table, and the air above it
    seen = scene.look(scene.cameras[0])
    assert isinstance(scene, Scene) and seen.depth[seen.opacity > 0.9].min() > 0


@pytest.mark.usefixtures('optimized')
def test_a_scene_larger_than_the_box_is_learned(capture, tmp_path):
    """Where the field is of all of space. What is beyond the box is not in the field otherwise."""
    small = {name: x for name, x in SMALL.items() if name.startswith('field')}
    settings = config(
        capture, **small, box__half=0.8, field__space='ball', viewed__frames=0, train__steps=200
    )
    settings.renderer = {
        'name': 'hierarchical', 'coarse': 32, 'fine': 32, 'shared': True,
        'near': 2.0, 'far': 20.0, 'spacing': 'log',
    }  # fmt: skip
    result = run(experiments.build(settings), settings, tmp_path / 'run')
    assert result.metrics['psnr'] > 18


def stepped(made, state, count):
    """After so many steps with the first 32 samples."""
    batch = {name: jnp.asarray(x[:32]) for name, x in made.batches.arrays.items()}
    step = jax.jit(made.step)
    for i in range(count):
        state, metrics = step(state, batch, jax.random.key(i))
    return state, metrics


def test_voxels_grow(capture):
    """With all that is kept of them."""
    settings = config(
        capture, 'plenoxels_scene', field__cells=4, field__finest=16, renderer__cells=8,
        train__adapt_every=2, train__ema=0.9,
    )  # fmt: skip
    made = experiments.build(settings)
    state = jax.jit(made.init)(KEY)
    for nodes in (9, 17, 17):
        state = made.adapt(state, KEY)
        for tree in (state.params, state.average.total, state.opt[2].mu, state.opt[2].nu):
            assert {x.shape[:3] for x in jax.tree.leaves(tree)} == {(nodes,) * 3}
    before = state.params
    state, metrics = stepped(made, state, 1)
    assert np.isfinite(metrics['loss']) and metrics['grad_norm'] > 0
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(state.params), strict=True):
        assert np.abs(old - new).max() > 0


def test_cameras_are_learned(capture):
    """From where they wrongly are; those of test views follow, and a scene is exported with them.
    (Whether they are found: `test_radiance_learned`.)"""
    wrong = {'poses__wrong': (3.0, 0.02)}
    made = experiments.build(config(capture, **SMALL, poses__refine=True, **wrong))
    state, _ = stepped(made, jax.jit(made.init)(KEY), 2)
    seen = np.unique(made.batches.arrays['place'][:32] // SIDE**2)
    moved = np.abs(state.params['twists']).max(-1) > 0
    assert set(np.flatnonzero(moved)) == set(seen)
    found = made.export(state).cameras
    fixed = experiments.build(config(capture, **SMALL, **wrong))
    start = fixed.export(jax.jit(fixed.init)(KEY)).cameras
    change = np.abs(found.pose - start.pose).max((1, 2))
    np.testing.assert_array_equal(change > 1e-6, moved)
    metrics = made.evaluate(state, KEY)
    assert 1 < metrics['cameras_turned'] < 5 and 0.01 < metrics['cameras_moved'] < 0.2


def test_layouts_agree(capture, tmp_path):
    """The grid of what is occupied is the same on all devices as on one."""
    # Room for every sample: whose rays are lost depends on the layout. Adam with hardly an epsilon
    # makes steps of one size out of rounding errors.
    changes = SMALL | {'renderer__per_ray': 64.0, 'optim__eps': 1e-2, 'viewed__frames': 0}
    settings = config(capture, **changes, train__steps=3, train__batch_size=64)
    made = experiments.build(settings)
    one, many = (
        run(made, settings, tmp_path / str(count), devices=jax.devices()[:count]).state
        for count in (1, 4)
    )
    for a, b in zip(jax.tree.leaves(one.aux), jax.tree.leaves(many.aux), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4)
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(many.params), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-4)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data__name': 'desk2'}, 'config.data.name'),
        ({'data__path': '/nowhere'}, 'no folder /nowhere'),
        ({'data__path': ''}, 'needs data.path'),
        ({'field__name': 'npg'}, "did you mean 'ngp'"),
        ({'renderer__name': 'skiping'}, "did you mean 'skipping'"),
        ({'objective__color': 'l2'}, 'config.objective.color'),
        ({'train__adapt_every': 10}, 'no grid of this field grows'),
        ({'field__space': 'bal'}, "did you mean 'ball'"),
        ({'field__space': 'ball'}, 'set config.renderer.near and far'),
        ({'box__center': (9.0, 0.0, 0.0)}, 'set config.box.center and config.box.half'),
    ],
)
def test_mistakes_are_sentences(capture, changes, words):
    with pytest.raises(UserError, match=words):
        experiments.build(config(capture, **changes))


def test_what_few_photographs_leave_open(capture, monkeypatch):
    """Patches of other views count, and depths where there are any; both weights are felt."""
    from experiments import radiance

    plain = experiments.build(config(capture, **SMALL))
    rough = experiments.build(config(capture, **SMALL, objective__patches=1.0))
    state = jax.jit(plain.init)(KEY)
    batch = {name: jnp.asarray(x[:32]) for name, x in plain.batches.arrays.items()}
    loss = {}
    for name, made in (('plain', plain), ('rough', rough)):
        loss[name] = float(jax.jit(made.step)(state, batch, KEY)[1]['loss'])
    assert loss['rough'] > loss['plain']
    with pytest.raises(UserError, match='these photographs have no depths'):
        experiments.build(config(capture, **SMALL, objective__depth=1.0))

    found = radiance.photographs

    def deep(*args, **kwargs):
        known, held_out = found(*args, **kwargs)
        return known._replace(depths=np.full(known.images.shape[:3], 2.0, np.float32)), held_out

    monkeypatch.setattr(radiance, 'photographs', deep)
    made = experiments.build(config(capture, **SMALL, objective__depth=1.0))
    batch |= {'depth': jnp.full(32, 2.0)}
    with_depth = float(jax.jit(made.step)(state, batch, KEY)[1]['loss'])
    assert with_depth > loss['plain']
    batch['depth'] = jnp.zeros(32)  # unknown
    assert float(jax.jit(made.step)(state, batch, KEY)[1]['loss']) == pytest.approx(loss['plain'])


def test_weights_of_what_is_not_there(capture):
    """The hash grid has no planes that could be smooth."""
    made = experiments.build(config(capture, **SMALL, objective__smoothness=0.1))
    batch = {'rgba': jnp.zeros((2, 4), jnp.uint8), 'place': jnp.zeros(2, jnp.int32)}
    with pytest.raises(UserError, match=r'config.objective.smoothness is 0.1, but .* distortion'):
        jax.eval_shape(made.step, jax.eval_shape(made.init, KEY), batch, KEY)
