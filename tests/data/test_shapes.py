import numpy as np
import pytest

from jaxcv.data import scene, scenes
from jaxcv.data.shapes import COLORS, MAX_OBJECTS, SHAPES, signed_distance


def test_deterministic_by_seed_and_index():
    for name, value in scene(3, 7).items():
        np.testing.assert_array_equal(value, scene(3, 7)[name])
    assert not np.array_equal(scene(3, 7)['image'], scene(4, 7)['image'])
    assert not np.array_equal(scene(3, 7)['image'], scene(3, 8)['image'])


@pytest.mark.parametrize('size', [32, 64])
def test_the_record_agrees_with_itself(size):
    counts = np.zeros(MAX_OBJECTS + 1, int)
    for record in (scenes(200, seed=1, size=size)[i] for i in range(200)):
        counts[record['present'].sum()] += 1
        areas = []
        for i in range(MAX_OBJECTS):
            rows, columns = np.nonzero(record['mask'] == i + 1)
            assert record['present'][i] == (len(rows) > 0)
            if not record['present'][i]:
                assert record['classes'][i] == record['colors'][i] == -1
                continue
            areas.append(len(rows))
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            np.testing.assert_array_equal(record['boxes'][i], box)
            color = np.array(list(COLORS.values())[record['colors'][i]])
            seen = np.median(record['image'][rows, columns], axis=0)
            assert np.abs(seen - color).max() < 30
            phrase = f'{list(COLORS)[record["colors"][i]]} {SHAPES[record["classes"][i]]}'
            assert phrase in str(record['caption'])
        assert areas == sorted(areas, reverse=True)
        assert record['label'] == record['classes'][0]
    assert counts[0] == 0
    assert counts[1:].min() > 30


def test_captions_say_where_things_are():
    said = 0
    for record in (scene(5, i) for i in range(100)):
        if record['present'].sum() != 2:
            continue
        (x0, y0), (x1, y1) = (record['boxes'][:2, :2] + record['boxes'][:2, 2:]) / 2
        true = {'left of': x0 < x1, 'right of': x0 > x1, 'above': y0 < y1, 'below': y0 > y1}
        (relation,) = (r for r in true if r in str(record['caption']))
        assert true[relation]
        said += 1
    assert said > 15


def test_areas_are_those_of_the_formulas():
    r, n = 80, 200
    x, y = np.meshgrid(np.arange(n) + 0.5 - n / 2, np.arange(n) + 0.5 - n / 2)
    arm = 0.3
    expected = {
        'circle': np.pi,
        'square': 2,
        'triangle': 3 * np.sqrt(3) / 4,
        'ring': np.pi * (1 - 0.25),
        'star': 10 * 0.5 * 0.45 * np.sin(np.pi / 5),
        'cross': 8 * arm * np.sqrt(1 - arm**2) - 4 * arm**2,
    }
    for shape in SHAPES:
        coverage = np.clip(0.5 - signed_distance(shape, x, y, r), 0, 1)
        assert coverage.sum() / r**2 == pytest.approx(expected[shape], rel=0.01)


def test_edges_are_anti_aliased():
    image = scene(0, 3, 64)['image'].reshape(-1, 3)
    assert len(np.unique(image, axis=0)) > 20
