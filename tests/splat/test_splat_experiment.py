"""Gaussians from photographs, from start to report."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from PIL import Image

import experiments
from jaxcv.data.captures import Capture, Points, blender, ply
from jaxcv.data.tabletop import desk, fibonacci, orbit, render
from jaxcv.errors import UserError
from jaxcv.splat import activated, files, surfels
from jaxcv.train import run
from jaxcv.train.config import load

SIDE, TRAIN, TEST = 20, 12, 2


@pytest.fixture(scope='module')
def capture(tmp_path_factory):
    """The desk from 14 sides, as a folder of pictures and transforms.json."""
    folder = tmp_path_factory.mktemp('desk')
    cameras, paths = orbit(fibonacci(TRAIN + TEST), SIDE), []
    look = jax.jit(render)
    for i in range(TRAIN + TEST):
        pixels = np.round(255 * np.asarray(look(desk(), cameras[i]).image)).astype(np.uint8)
        paths.append(folder / f'{i}.png')
        Image.fromarray(pixels).save(paths[-1])
    test = np.array([3, 9])
    made = Capture(
        cameras=jax.tree.map(lambda x: np.asarray(x, np.float64), cameras),
        images=tuple(paths),
        channels=4,
        times=np.linspace(0, 1, TRAIN + TEST),
        splits={'train': np.setdiff1d(np.arange(TRAIN + TEST), test), 'test': test},
    )
    blender.write(folder, made)
    return folder


def config(folder, **changes):
    return load(
        'configs/splat/splat_scene.py',
        {
            'data.name': 'capture',
            'data.path': str(folder),
            'data.image_size': 0,
            'initial.count': 300,
            'initial.opacity': 0.1,
            'train.steps': 40,
            'train.eval_every': 0,
            'train.show_every': -1,
            'train.adapt_every': 10,
            'drawing.degree': 1,
            'density.room': 0,
            'density.start': 10,
            'density.stop': 30,
            **{name.replace('__', '.'): value for name, value in changes.items()},
        },
    )


def equal(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)


def trained(made, settings, workdir, devices=1, **more):
    return run(made, settings, workdir, devices=jax.devices()[:devices], **more)


def rows(workdir):
    return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def one_step(made, state, key=0):
    """With the first photographs."""
    held = made.batches
    batch = jax.tree.map(lambda x: x[: held.batch_size], held.arrays)
    return jax.jit(made.step)(state, batch, jax.random.key(key))


@pytest.mark.usefixtures('optimized')
def test_a_scene_is_learned(capture, tmp_path):
    """From sides that were not seen: white has 9 dB, the hull of the beginning 14."""
    section = {'name': 'control', 'room': 600, 'start': 20, 'stop': 40, 'gradient': 1e-3}
    changes = {'density': section, 'train.steps': 100, 'optim.schedule': 'constant'}
    settings = config(capture, **changes, train__show_every=0, viewed__frames=2)
    made = experiments.build(settings)
    begun = made.evaluate(made.init(jax.random.key(0)), None)
    result = trained(made, settings, tmp_path / 'run')
    assert begun['psnr'] < 17 and result.metrics['psnr'] > 20 and result.metrics['ssim'] > 0.5
    media = {path.stem.split('_')[0] for path in (tmp_path / 'run/media').iterdir()}
    assert media >= {'views', 'orbit'}
    gaussians = made.export(result.state).gaussians
    assert len(gaussians.means) == result.metrics['gaussians'] > 300
    # And from a file it goes on where it was.
    files.write(tmp_path / 'scene.ply', gaussians)
    section = {'name': 'file', 'path': str(tmp_path / 'scene.ply')}
    again = experiments.build(config(capture, initial=section, drawing__degree_every=0))
    found = again.evaluate(again.init(jax.random.key(1)), None)
    assert found['psnr'] == pytest.approx(result.metrics['psnr'], abs=0.01)


@pytest.mark.usefixtures('optimized')
def test_surfels_find_the_surface(capture, tmp_path):
    """They learn the pictures as Gaussians do, and nearer to where things are the more their
    normals are asked to agree with their depths."""
    uneven = {}
    for weight in (0.0, 0.3):
        changes = {'drawing.surfels': True, 'objective.normals': weight, 'train.steps': 100}
        settings = config(capture, **changes, optim__schedule='constant')
        made = experiments.build(settings)
        result = trained(made, settings, tmp_path / str(weight))
        assert result.metrics['psnr'] > 19
        scene = made.export(result.state)
        disks = surfels.flat(activated(scene.gaussians))
        found = surfels.rasterize(disks, scene.cameras, capacity=1 << 14)
        assert not found.overflow.any()
        uneven[weight] = float(surfels.unevenness(found, scene.cameras).mean())
    assert uneven[0.3] < 0.7 * uneven[0.0]


def test_samples_learn_too(capture, tmp_path):
    """And the same seed gives the same Gaussians."""
    section = {'name': 'mcmc', 'start': 0, 'most': 315}
    changes = {'density': section, 'initial.opacity': 0.3, 'initial.count': 300}
    settings = config(capture, train__steps=30, train__adapt_every=10, **changes)
    made = experiments.build(settings)
    one, two = (trained(made, settings, tmp_path / str(i)) for i in range(2))
    equal(one.state, two.state)
    assert one.metrics['gaussians'] == 315
    begun = made.evaluate(made.init(jax.random.key(0)), None)
    assert one.metrics['psnr'] > begun['psnr'] + 1
    begins = made.init(jax.random.key(1)).population.gaussians.means
    assert (begins != made.init(jax.random.key(0)).population.gaussians.means).any()


def test_layouts_agree(capture, tmp_path):
    # Adam with hardly an epsilon makes steps of one size out of rounding errors.
    beside = {'motion': {'name': 'planes', 'cells': (4,)}, 'poses.refine': True}
    settings = config(
        capture,
        train__steps=3,
        train__batch_size=4,
        optim__eps=1e-2,
        rates__appearance=1e-2,
        **beside,
    )
    made = experiments.build(settings)
    one, many = (trained(made, settings, tmp_path / str(count), count).state for count in (1, 4))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-4),
        (one.population, one.beside, one.demand, one.pairs),
        (many.population, many.beside, many.demand, many.pairs),
    )
    begun = made.init(jax.random.key(0)).beside.params
    for kind in ('planes', 'network', 'twists', 'appearance'):
        pairs = zip(*map(jax.tree.leaves, (begun[kind], one.beside.params[kind])), strict=True)
        assert any((x != y).any() for x, y in pairs)
    assert one.demand.views.sum() > 0


def narrowed(made, bits):
    state = made.init(jax.random.key(0))
    return dataclasses.replace(state, room=jnp.zeros(bits, jnp.int8))


def test_a_step_without_room_changes_nothing(capture):
    made = experiments.build(config(capture, density={'name': 'mcmc'}))
    state = narrowed(made, 6)
    after, metrics = one_step(made, state)
    assert metrics['overflow'] == 1 and after.pairs > 64
    equal((after.population, after.demand), (state.population, state.demand))
    wide = made.adapt(after, jax.random.key(1))
    assert wide.capacity >= after.pairs and wide.pairs == 0


def test_a_run_goes_on_after_too_little_room(capture, tmp_path, monkeypatch):
    """Its checkpoint is as large as what it grew to."""
    monkeypatch.setattr('jaxcv.splat.state.TOUCHED', 1)
    changes = {'initial.count': 60, 'initial.scale': 2.0, 'train.log_every': 1, 'train.steps': 8}
    settings = config(capture, **changes, train__adapt_every=2, density={'name': 'none'})
    made = experiments.build(settings)
    result = trained(made, settings, tmp_path)
    found = [row for row in rows(tmp_path) if row['phase'] == 'train']
    missed = [row['overflow'] for row in found]
    assert missed[:2] == [1, 1] and missed[4:] == [0] * 4  # in two rounds at most
    assert result.state.capacity > 64
    again = trained(made, settings, tmp_path, mode='evaluate')
    assert again.metrics == result.metrics


def test_pictures_are_whole_whatever_the_room(capture):
    made = experiments.build(config(capture))
    enough = made.evaluate(made.init(jax.random.key(0)), None)
    assert made.evaluate(narrowed(made, 5), None) == enough


def test_points_of_a_capture_and_of_a_file(capture, tmp_path):
    draw = np.random.default_rng(0)
    points = Points(draw.uniform(-0.5, 0.5, (50, 3)), draw.integers(0, 256, (50, 3), np.uint8))
    ply.write(tmp_path / 'points.ply', points)
    path = {'name': 'points', 'path': str(tmp_path / 'points.ply')}
    found = experiments.build(config(capture, initial=path)).init(jax.random.key(0))
    np.testing.assert_allclose(found.population.gaussians.means, points.xyz, rtol=1e-6)
    colors = 0.5 + 0.28209479 * found.population.gaussians.sh[:, 0]
    np.testing.assert_allclose(colors, points.rgb / 255, atol=1e-5)


def test_growth_of_samples_stops_at_the_cap(capture):
    """5% each time, with room for as many as there may be."""
    section = {'name': 'mcmc', 'start': 0, 'most': 320}
    made = experiments.build(config(capture, density=section))
    state, counts = made.init(jax.random.key(0)), []
    for i in range(3):
        state = made.adapt(state, jax.random.key(i))
        counts.append(int(state.population.alive.sum()))
    assert counts == [315, 320, 320] and len(state.population.alive) == 320


def test_gaussians_out_of_sight_are_an_error(capture, tmp_path):
    points = Points(np.random.default_rng(0).normal(size=(9, 3)) + 1e3, np.zeros((9, 3), np.uint8))
    ply.write(tmp_path / 'points.ply', points)
    path = {'name': 'points', 'path': str(tmp_path / 'points.ply')}
    settings = config(capture, initial=path)
    with pytest.raises(UserError, match='no photograph of the batch sees any Gaussian at step 1;'):
        trained(experiments.build(settings), settings, tmp_path / 'run')


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'data__name': 'dsk'}, "did you mean 'desk'"),
        ({'initial': {'name': 'points'}}, 'no initial points'),
        ({'initial': {'name': 'hul'}}, "did you mean 'hull'"),
        ({'density': {'name': 'controll'}}, "did you mean 'control'"),
        ({'density': {'name': 'mcmc', 'gradient': 1.0}}, 'a field of config.density'),
        ({'objective__background': 'gray'}, 'config.objective.background'),
        ({'train__adapt_every': 0}, 'adapt_every is 0'),
    ],
)
def test_mistakes_are_sentences(capture, changes, words):
    with pytest.raises(UserError, match=words):
        experiments.build(config(capture, **changes))


def test_photographs_of_different_sizes(capture, tmp_path):
    for file in capture.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    Image.new('RGBA', (SIDE, SIDE + 1)).save(tmp_path / '5.png')
    with pytest.raises(UserError, match='must have one size'):
        experiments.build(config(tmp_path))


def test_a_hull_needs_transparency(capture, tmp_path):
    for file in capture.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        if file.suffix == '.png':
            Image.open(file).convert('RGB').save(tmp_path / file.name)
    with pytest.raises(UserError, match='needs photographs with transparency'):
        experiments.build(config(tmp_path))
