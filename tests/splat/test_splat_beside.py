"""What is learned beside Gaussians, of photographs that Gaussians made: the answer is known."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

import experiments
from experiments import splat
from jaxcv.cameras import look_at, make
from jaxcv.cameras.view import Scene
from jaxcv.data.captures import Frames
from jaxcv.errors import UserError
from jaxcv.metrics import psnr
from jaxcv.splat import activated, appearance, files, initial, rasterize
from jaxcv.train import run
from jaxcv.train.config import load

SIDE, TRAIN, TEST, COUNT = 24, 16, 4, 60
KEY = jax.random.key(0)
STILL = {
    'motion': {'name': 'none'},
    **{f'objective.{name}': 0.0 for name in ('variation', 'smoothness', 'sparsity')},
    **{
        f'rates.{name}': 0.0
        for name in ('means', 'log_scales', 'rotations', 'opacity_logits', 'color')
    },
}  # a scene that does not move, of Gaussians that stay as they are


def balls(time=0.5):
    """Small ones, of which a third moves up."""
    rng = np.random.default_rng(0)
    means, colors = rng.uniform(-0.4, 0.4, (COUNT, 3)), rng.uniform(size=(COUNT, 3))
    means[: COUNT // 3] = 0.3 * means[: COUNT // 3] + [0.5, 0, 0.5 * float(time) - 0.25]
    return initial.balls(means, colors, jnp.float32(0.1), opacity=0.9, degree=0)


def cameras(count, seed):
    """Around the scene, above and below."""
    eyes = np.random.default_rng(seed).normal(size=(count, 3))
    eyes = 3 * eyes / np.linalg.norm(eyes, axis=-1, keepdims=True)
    return make(
        look_at(jnp.asarray(eyes, jnp.float32), jnp.zeros(3), jnp.array([0.1, 0.2, 1])),
        30.0,
        SIDE,
        SIDE,
    )


@jax.jit
def photograph(gaussians, camera):
    """Straight RGBA."""
    seen = rasterize(activated(gaussians), camera, capacity=2**12)
    color = seen.color / jnp.maximum(seen.alpha, 1e-3)[..., None]
    return jnp.concatenate([color, seen.alpha[..., None]], -1)


def frames(count, seed, times=None):
    seen_by = cameras(count, seed)
    when = np.full(count, 0.5) if times is None else times
    found = [photograph(balls(time), camera) for time, camera in zip(when, seen_by, strict=True)]
    images = np.round(255 * np.stack(found).clip(0, 1)).astype(np.uint8)
    return Frames(seen_by, images, times=None if times is None else jnp.asarray(times, jnp.float32))


@pytest.fixture
def shown(monkeypatch):
    """Makes experiments see these photographs."""

    def show(*both):
        monkeypatch.setattr(splat, 'photographs', lambda *args, **kwargs: both)

    return show


def config(tmp_path, **changes):
    """Of a scene that begins as it is at time 1/2."""
    files.write(tmp_path / 'scene.ply', balls())
    return load(
        'configs/splat/splat_dynamic.py',
        {
            'initial': {'name': 'file', 'path': str(tmp_path / 'scene.ply')},
            'drawing.degree': 0,
            'motion.cells': (8,),
            'motion.time_cells': 6,
            'density': {'name': 'none'},
            'train.eval_every': 0,
            'train.show_every': -1,
            'viewed.frames': 2,
            **{name.replace('__', '.'): value for name, value in changes.items()},
        },
    )


def trained(settings, workdir):
    made = experiments.build(settings)
    return made, run(made, settings, workdir, devices=jax.devices()[:1])


@pytest.mark.usefixtures('optimized')
def test_a_scene_that_moves_is_learned(shown, tmp_path):
    """At times and from sides that were not seen."""
    shown(frames(TRAIN, 0, np.linspace(0, 1, TRAIN)), frames(TEST, 1, np.linspace(0.1, 0.9, TEST)))
    changes = {'train__show_every': 0, 'train__steps': 300, 'train__adapt_every': 100}
    made, result = trained(config(tmp_path, **changes), tmp_path / 'run')
    assert result.metrics['psnr'] > made.evaluate(made.init(KEY), None)['psnr'] + 3
    media = {path.stem.split('_')[0] for path in (tmp_path / 'run/media').iterdir()}
    assert media >= {'views', 'orbit'}

    scene, camera = made.export(result.state), cameras(1, 2)[0]
    assert isinstance(scene, Scene)
    for time, other in ((0.1, 0.9), (0.5, 0.1), (0.9, 0.5)):
        truth = photograph(balls(time), camera)
        truth = (truth[..., :3] * truth[..., 3:])[None]
        right, wrong = (psnr(scene.look(camera, at).color[None], truth) for at in (time, other))
        assert right > 22 and right > wrong + 2
    expected = scene.look(camera).color
    now = rasterize(activated(scene.gaussians), camera, capacity=2**12)
    np.testing.assert_allclose(now.color, expected, atol=1e-5)


@pytest.mark.usefixtures('optimized')
def test_wrong_cameras_and_other_exposures_are_found(shown, tmp_path):
    """Of each photograph, the scene being known; test views are as it is, from where it is."""
    known, rng = frames(TRAIN, 0), np.random.default_rng(3)
    gain, offset = rng.uniform(0.6, 1.0, (TRAIN, 1, 1, 3)), rng.uniform(0, 0.1, (TRAIN, 1, 1, 3))
    color, alpha = known.images[..., :3] / 255, known.images[..., 3] / 255
    images = np.concatenate([gain * color + offset, alpha[..., None]], -1)
    images = np.round(255 * images.clip(0, 1)).astype(np.uint8)
    shown(known._replace(images=images), frames(TEST, 1))
    poses = {'poses__refine': True, 'poses__rate': 4e-3, 'poses__wrong': (3.0, 0.02)}
    colors = {'rates__appearance': 2e-2, 'objective__appearance': 1e-5}
    steps = {'train__steps': 80, 'train__batch_size': 4}
    made, result = trained(config(tmp_path, **STILL, **poses, **colors, **steps), tmp_path / 'run')
    begun = made.evaluate(made.init(KEY), None)
    assert 2 < begun['cameras_turned'] < 4 and 0.04 < begun['cameras_moved'] < 0.08
    assert result.metrics['cameras_turned'] < 0.5 * begun['cameras_turned']
    assert result.metrics['psnr'] > begun['psnr'] + 3
    found = made.export(result.state).cameras.pose
    assert np.abs(found - cameras(TRAIN, 0).pose).max() < 0.05

    color, offset = color * alpha[..., None], offset * alpha[..., None]
    found = appearance.changed(color, alpha, result.state.beside.params['appearance'])
    expected = gain * color + offset
    assert np.abs(found - expected).mean() < 0.3 * np.abs(color - expected).mean()


def test_a_step_without_room_leaves_all_as_it_was(shown, tmp_path):
    shown(frames(TRAIN, 0, np.linspace(0, 1, TRAIN)), frames(TEST, 1, np.linspace(0, 1, TEST)))
    made = experiments.build(config(tmp_path))
    state = dataclasses.replace(made.init(KEY), room=jnp.zeros(4, jnp.int8))
    batch = jax.tree.map(lambda x: x[:1], made.batches.arrays)
    after, metrics = jax.jit(made.step)(state, batch, KEY)
    assert metrics['overflow'] == 1
    jax.tree.map(np.testing.assert_array_equal, after.beside, state.beside)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({}, 'these photographs have no times'),
        ({'motion': {'name': 'plains'}}, "did you mean 'planes'"),
        ({'motion': {'name': 'none', 'cells': (3,)}}, 'a field of config.motion'),
        ({'poses': {'refined': True}}, "did you mean 'refine'"),
        ({'train__ema': 0.9}, r'config.train.ema is 0.9, but splats .*: set it to 0.0'),
        ({'train__accumulate': 2}, 'config.train.accumulate is 2'),
        ({'train__precision': 'bfloat16'}, 'config.train.precision'),
        ({'train__frozen': ('means',)}, 'config.train.frozen'),
    ],
)
def test_mistakes_beside_are_sentences(shown, tmp_path, changes, words):
    shown(frames(2, 0), frames(1, 1))
    with pytest.raises(UserError, match=words):
        experiments.build(config(tmp_path, **changes))


def test_weights_of_planes_that_are_not_there(shown, tmp_path):
    shown(frames(2, 0), frames(1, 1))
    made = experiments.build(config(tmp_path, motion={'name': 'none'}))
    batch = jax.tree.map(lambda x: x[:1], made.batches.arrays)
    with pytest.raises(UserError, match=r'config.objective.variation is .* only opacity, scale'):
        jax.eval_shape(made.step, jax.eval_shape(made.init, KEY), batch, KEY)
