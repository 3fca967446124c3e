import itertools

import numpy as np
import pytest

from jaxcv.data.shapes import COLORS, SHAPES, scene
from jaxcv.metrics.scenes import agrees, seen, withheld


@pytest.mark.parametrize('size', [32, 64])
def test_scenes_are_read_as_they_were_drawn(size):
    scenes = [scene(1, index, size) for index in range(60)]
    right = [agrees(str(s['caption']), s['image']) for s in scenes]
    assert np.mean(right) >= 0.98
    for s in scenes[:20]:
        if agrees(str(s['caption']), s['image']):
            colors = sorted(list(COLORS)[k] for k in s['colors'][s['present']])
            shapes = sorted(SHAPES[k] for k in s['classes'][s['present']])
            found = seen(s['image'])
            assert sorted(x.color for x in found) == colors
            assert sorted(x.shape for x in found) == shapes


def test_other_captions_are_wrong():
    scenes = [scene(1, index) for index in range(60)]
    others = [agrees(str(a['caption']), b['image']) for a, b in itertools.pairwise(scenes)]
    assert np.mean(others) <= 0.05


@pytest.mark.parametrize(
    ('turned', 'right'), [(0, 'above'), (1, 'left of'), (2, 'below'), (3, 'right of')]
)
def test_places_are_told_apart(turned, right):
    """Two squares, red above blue, turned."""
    image = np.full((32, 32, 3), 60, np.uint8)
    image[4:12, 12:20], image[20:28, 12:20] = COLORS['red'], COLORS['blue']
    image = np.rot90(image, turned)
    for relation in ('above', 'left of', 'below', 'right of'):
        caption = f'a red square {relation} a blue square'
        assert agrees(caption, image) == (relation == right)
    assert not agrees(f'a red circle {right} a blue square', image)
    assert agrees(f'a red circle {right} a blue square', image, shapes=False)
    assert not agrees(f'a red square {right} a blue square and a red square', image)
    assert not agrees('a red square', image)


def test_nothing_is_seen_on_a_background():
    rng = np.random.default_rng(0)
    assert seen(rng.integers(0, 130, (32, 32, 3)).astype(np.uint8)) == []


def test_pairs_are_withheld():
    pairs = [(c, s) for c in COLORS for s in SHAPES]
    found = [pair for pair in pairs if withheld(f'a white star and a {" ".join(pair)}', 8)]
    assert not withheld('a white star', 8) and len(found) == 6
    assert len({s for _, s in found}) == 6 and len({c for c, _ in found}) == 6
