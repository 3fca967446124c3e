import numpy as np
import pytest

from jaxcv.cameras import pixel_grid, unproject
from jaxcv.data import arrays
from jaxcv.data.builders import tabletop as builder
from jaxcv.data.tabletop import cameras, desk, distance, moved, render, scene, stored
from jaxcv.errors import UserError


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(builder, 'SIZES', dict.fromkeys(builder.SIZES, 12))
    monkeypatch.setattr(builder, 'VIEWS', {'train': 3, 'test': 2})
    monkeypatch.setattr(builder, 'SEEDS', {'train': range(2), 'test': range(2, 3)})
    monkeypatch.setattr(builder, 'VIEWS_EACH', 2)


@pytest.mark.parametrize('name', ['dynamic', 'many'])
def test_stored_views_are_the_rendered_ones(name, tiny, tmp_path):
    train, test = (arrays(stored(name, split, tmp_path)) for split in ('train', 'test'))
    assert len(train['image']) == (3 if name == 'dynamic' else 4)
    assert len(test['image']) == 2
    for examples in (train, test):
        camera = cameras(examples)
        assert camera.pose.shape == (len(examples['image']), 3, 4)
        assert (camera.width, camera.height) == (12, 12)
        for i, (seed, time) in enumerate(zip(examples['scene'], examples['time'], strict=True)):
            world = scene(int(seed)) if name == 'many' else moved(desk(), time)
            view = render(world, camera[i])
            np.testing.assert_array_equal(examples['image'][i], np.round(255 * view.image))
            np.testing.assert_array_equal(examples['depth'][i], view.depth)
            np.testing.assert_array_equal(examples['normals'][i], view.normals)
            points = unproject(camera[i], pixel_grid(12, 12).reshape(-1, 2), view.depth.reshape(-1))
            assert np.abs(distance(world, points))[view.objects.ravel() >= 0].max() < 1e-4
    assert not set(train['scene']) & set(test['scene']) or name == 'dynamic'
    assert len(np.unique(np.concatenate([train['pose'], test['pose']]), axis=0)) >= 5
    times = [0, 0.5, 1] if name == 'dynamic' else [0, 0, 0, 0]
    np.testing.assert_allclose(train['time'], times)
    assert train['image'].dtype == np.uint8
    assert train['scene'].dtype == np.int32


def test_the_still_desk_is_looked_at_from_a_spiral_and_from_elsewhere(tiny):
    train, test = (list(builder.of_the_desk(split, False)) for split in ('train', 'test'))
    heights = [float(direction[2]) for *_, direction in train]
    assert heights == sorted(heights)
    assert {time for _, _, time, _ in (*train, *test)} == {0.0}


def test_unknown_names():
    with pytest.raises(UserError, match="did you mean 'dynamic'"):
        stored('dynamics')
