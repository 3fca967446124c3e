"""How good are sampled images? Read from a classifier's features, beside real images.

fake = seen(apply, variables, samples)                 # any classifier of this image size
real = seen(apply, variables, images)                  # as many real ones
judged(fake, real, key, labels)                        # {'frechet': ..., 'precision': ...}
frechet_floor(real.features, key)                      # what 'frechet' is to be read against

`scorer` does all of it for a function that draws.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv import metrics
from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.viz import Picture, sweep

Apply = Callable[[PyTree, Float[Array, 'b h w c']], tuple[Float[Array, 'b k'], Float[Array, 'b d']]]
BATCH = 256  # images drawn at once
SWEPT = ('accuracy', 'precision', 'recall', 'frechet')  # shown for several scales of guidance
SUBSETS = 10  # of the kernel distance: disjoint, a tenth of the samples each


class Seen(NamedTuple):
    """What a classifier sees in images."""

    logits: Float[Array, 'n k']
    features: Float[Array, 'n d']


def seen(
    apply: Apply, variables: PyTree, images: Float[Array, 'n h w c'], batch_size: int = 256
) -> Seen:
    """What the classifier sees in images in [-1, 1], a batch at a time."""
    n, size = len(images), min(batch_size, len(images))
    padded = jnp.pad(images, [(0, -n % size)] + [(0, 0)] * 3)
    batches = padded.reshape(-1, size, *images.shape[1:])
    looked = jax.lax.map(lambda batch: Seen(*apply(variables, batch)), batches)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], looked)


def judged(
    fake: Seen,
    real: Seen,
    key: Key[Array, ''],
    labels: Int[Array, 'n'] | None = None,
    neighbors: int = 5,
) -> dict[str, Float[Array, '']]:
    """Scores of n samples against n real images.

    frechet                 distance of the two sets of features; depends on n
    kernel_distance         its expectation does not; on features scaled to a mean square of 1 in
                            the data, because the kernel has a scale; negative by chance
    kernel_distance_error   standard error
    precision, recall       shares of samples that are near the data, and the other way around
    density, coverage       the same, robust to outliers
    accuracy                share of samples recognized as the intended `labels`, where given
    """
    if fake.features.shape != real.features.shape:
        raise UserError(
            f'{len(fake.features)} samples are judged by {len(real.features)} real images, but '
            'scores depend on the counts: take equally many'
        )
    if len(real.features) < 2 * SUBSETS:
        raise UserError(f'{len(real.features)} samples are too few to judge: take at least 20')
    scale = jax.lax.rsqrt(jnp.square(real.features).mean())
    kernel = metrics.kernel_distance(
        real.features * scale, fake.features * scale, key, SUBSETS, len(fake.features) // SUBSETS
    )
    scores = {
        'frechet': metrics.frechet_distance(real.features, fake.features),
        'kernel_distance': kernel.value,
        'kernel_distance_error': kernel.error,
        **metrics.overlap(real.features, fake.features, neighbors)._asdict(),
    }
    if labels is not None:
        scores['accuracy'] = (fake.logits.argmax(-1) == labels).mean()
    return scores


def frechet_floor(
    features: Float[Array, 'n d'], key: Key[Array, ''], divisions: int = 20
) -> Float[Array, '']:
    """The distance of two disjoint halves of the data: what perfect samples, n / 2 of them, would
    score against n / 2 real images. A mean over random divisions, since one may divide the classes
    unevenly by chance and be twice as far apart as another."""
    half = len(features) // 2

    def between(key):
        rows = jax.random.permutation(key, len(features))
        return metrics.frechet_distance(features[rows[:half]], features[rows[half : 2 * half]])

    return jax.lax.map(between, jax.random.split(key, divisions)).mean()


def scorer(
    apply: Apply,
    variables: PyTree,
    images: Float[Array, 'n h w c'],
    draw: Callable[..., Float[Array, 'b h w c']],
    labels: Int[Array, 'n'] | None = None,
) -> Callable[..., dict[str, Float[Array, '']]]:
    """(params, key, ...) -> `judged` of as many drawn images as real ones, and 'frechet_ratio' to
    the floor. `draw(params, rows, keys, ...)` draws a batch, one key each, told what the real
    images in those rows show: their `labels`, if these are to be recognized."""
    count, parts = len(images), -(-len(images) // BATCH)
    size = -(-count // parts)
    rows = (jnp.arange(parts * size) % count).reshape(parts, size)
    real = jax.jit(partial(seen, apply))(variables, images)
    floor = jax.jit(frechet_floor)(real.features, jax.random.key(0))

    # What is large is an argument: XLA would compute with constants while it compiles.
    @jax.jit
    def look(params, variables, rows, keys, *how):
        rows, keys = across.split((rows, keys))
        return across.whole(seen(apply, variables, draw(params, rows, keys, *how)))

    @jax.jit
    def score(fake, real, key):
        found = judged(fake, real, key, labels)
        return found | {'frechet_ratio': found['frechet'] / floor}

    def scores(params, key, *how):
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(parts * size))
        keys = keys.reshape(parts, size)
        found = [look(params, variables, rows[i], keys[i], *how) for i in range(parts)]
        return score(jax.tree.map(lambda *xs: jnp.concatenate(xs)[:count], *found), real, key)

    return scores


def swept(score: Callable[[float], dict], scales: Sequence[float]) -> Picture:
    """What the scale of guidance does to the scores."""
    found = [jax.device_get(score(scale)) for scale in scales]
    rows = {name: [float(row[name]) for row in found] for name in SWEPT if name in found[0]}
    return sweep(scales, rows, 'Scores by guidance', 'guidance')
