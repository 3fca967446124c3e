"""The pictures show what they say; what they look like is for the eye."""

import jax
import numpy as np
from jax import numpy as jnp
from matplotlib.axes import Axes

from jaxcv.recognition import pictures, scores

RANDOM = np.random.default_rng(0)
LABELS = np.arange(20) % 4
IMAGES = RANDOM.uniform(size=(20, 8, 8, 1)).astype(np.float32)


def titles(monkeypatch):
    seen = []
    original = Axes.set_title

    def watch(self, label, *args, **kwargs):
        seen.append(label)
        return original(self, label, *args, **kwargs)

    monkeypatch.setattr(Axes, 'set_title', watch)
    return seen


def check(picture):
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape[-1] == 3
    assert picture.pixels.std() > 5
    assert picture.caption


def test_the_surest_mistakes_come_first(monkeypatch):
    logits = 3.0 * np.eye(4)[LABELS]
    logits[5] = [9, 0, 0, 0]  # is 1
    logits[6] = [0, 2, 0, 0]  # is 2
    logits[7] = [0, 0, 0, 1]  # is 3: right, and the least certain
    seen = titles(monkeypatch)
    picture = pictures.mistakes(IMAGES, jnp.array(logits), LABELS, ['a', 'b', 'c', 'd'], count=4)
    assert [title[0] for title in seen[:3]] == ['a', 'b', 'd']
    assert seen[0] == 'a · 100%'
    assert picture.caption.startswith('2 mistakes in 20')
    check(picture)


def test_fewer_images_than_asked_for():
    check(pictures.mistakes(IMAGES[:3], jnp.eye(4)[:3], LABELS[:3]))


def test_plots_of_scores():
    sums = scores.sums(jnp.array(RANDOM.normal(size=(20, 4))), jnp.array(LABELS))
    check(pictures.confusion(sums['confusion']))
    check(pictures.confusion(np.eye(70, dtype=int)))
    check(pictures.reliability(sums))


def test_attention_over_images():
    maps = jax.nn.softmax(jax.random.normal(jax.random.key(0), (3, 2, 2, 7, 7)))
    images = RANDOM.uniform(size=(3, 16, 24, 3))
    check(pictures.attention(images, maps))
