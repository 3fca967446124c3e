"""Scenes from one picture, from start to report."""

import itertools

import jax
import numpy as np
import pytest

import experiments
from experiments import pixelnerf
from jaxcv.cameras.view import Scene
from jaxcv.data.builders import tabletop
from jaxcv.data.tabletop import orbit, render
from jaxcv.errors import UserError
from jaxcv.metrics import view_scores
from jaxcv.radiance import volume
from jaxcv.train import run
from jaxcv.train.config import load

SIDE = 20
SMALL = {
    'encoder.widths': (16, 16), 'field.width': 32, 'renderer.coarse': 16, 'renderer.fine': 16,
    'train.batch_size': 2, 'train.eval_every': 0, 'viewed.frames': 2, 'viewed.judged': 2,
    'viewed.chunk': 200, 'optim.lr': 3e-3, 'train.ema': 0.0,
}  # fmt: skip


@pytest.fixture(scope='module')
def views():
    """Six views of each of two scenes."""
    found, look = [], jax.jit(render)
    for _, world, _, direction in itertools.islice(tabletop.many('train'), 0, 2 * 12, 2):
        camera = orbit(direction, SIDE)
        image = np.round(255 * np.asarray(look(world, camera).image)).astype(np.uint8)
        found.append((image, camera.pose, camera.focal, camera.center))
    names = ('image', 'pose', 'focal', 'center')
    stacked = (np.stack(x) for x in zip(*found, strict=True))
    return {k: x.reshape(2, 6, *x.shape[1:]) for k, x in zip(names, stacked, strict=True)}


@pytest.fixture
def scenes(views, monkeypatch):
    """The first two, to learn from; the test asks for other views of them."""
    count = {'train': 2, 'test': 2}
    monkeypatch.setattr(
        pixelnerf, 'scenes', lambda split, _: {k: x[: count[split]] for k, x in views.items()}
    )


def config(**changes):
    return load('configs/radiance/pixelnerf_scenes.py', SMALL | changes)


@pytest.mark.usefixtures('optimized')
def test_known_scenes_are_found_in_one_picture(scenes, views, tmp_path):
    """Better than in the picture of another scene."""
    settings = config(**{'train.steps': 300})
    made = experiments.build(settings)
    result = run(made, settings, tmp_path / 'run', devices=jax.devices()[:1])
    metrics = result.metrics
    assert metrics['psnr'] > max(metrics['mean_picture/psnr'], metrics['nearest/psnr']) + 0.6
    assert {p.stem.split('_')[0] for p in (tmp_path / 'run/media').iterdir()} >= {'views', 'orbit'}

    reader, judge = made.export(result.state), view_scores()

    def likeness(known, asked):
        """Of views of one scene, and of what is seen in the first picture of another."""
        images, _ = pixelnerf.photographs(views, known)
        truth, cameras = pixelnerf.photographs(views, asked)
        scene = reader.scene(images[:1], cameras[:1])
        assert isinstance(scene, Scene)
        seen = [scene.look(cameras[i]) for i in (2, 4)]
        colors = [volume.over(view.color, view.opacity, pixelnerf.WHITE) for view in seen]
        return np.mean([judge(x, truth[i])['psnr'] for x, i in zip(colors, (2, 4), strict=True)])

    assert likeness(0, 0) > likeness(1, 0) + 0.5 and likeness(1, 1) > likeness(0, 1) + 0.5


def test_more_sources_than_pictures(scenes):
    with pytest.raises(UserError, match=r'views is 6, but there are 6 pictures of each scene'):
        experiments.build(config(**{'sources.views': 6}))
