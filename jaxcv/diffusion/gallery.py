"""What a person sees of a trained network: pictures it draws, how they come about, what guidance
does to them, and real pictures that it turns to noise, mixes and completes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.autoencoder.stage import Stage
from jaxcv.diffusion import editing, masks
from jaxcv.diffusion.drawing import Draw
from jaxcv.viz import Picture, rows

SCALES = (1.0, 2.0, 4.0, 8.0)  # of the guidance that is shown
PAIRS = 4  # of pictures that are mixed
COLUMNS = 10  # of a strip, at most
CAPTIONS = {
    'samples': 'Drawn pictures; a row for each class, if there are classes',
    'guidance': f'The same noise with guidance {", ".join(f"{s:g}" for s in SCALES)}',
    'inversion': 'Real pictures, the noise they come from, and what it becomes',
    'interpolation': 'From one real picture (left) to another, through the noise they come from',
    'inpainting': 'Real pictures, what is known of them, and how they are completed',
    'strip': 'The predicted picture, from left to right as the noise goes',
}


class Real(NamedTuple):
    """Real pictures, to edit."""

    images: Float[Array, 'n h w c']  # in [-1, 1]
    labels: Int[Array, 'n']


def gallery(
    draw: Draw,
    stage: Stage,
    real: Real,
    classes: int,
    null: int | None,
    fills: bool,
    scale: float | None,
) -> Callable[[PyTree, Key[Array, '']], dict[str, Picture]]:
    """(params, key) -> pictures by name. classes: how many, at least 1; null: the number of the
    null class, if the network is told classes; fills: whether it learned to fill in; scale: of the
    guidance, or None where there is none to vary.

    Few programs hold the network, since each is compiled: all else is made of them row by row."""
    images, own = real
    n = len(images)
    none, mixed = jnp.full(n, 0 if null is None else null), jnp.arange(n) % classes
    kept = jnp.arange(images.shape[2])[:, None] < images.shape[2] // 2
    told = {'known': masks.known(images, kept)} if fills else {}

    @jax.jit
    def drawn(params, labels, keys, scale):
        return draw.sample(params, labels, keys, scale, watch=lambda step: step.prediction.x0)

    @jax.jit
    def filled(params, keys):
        return draw.sample(params, own, keys, change=editing.keep(images, kept), **told)[0]

    encode, decode = jax.jit(stage.encode), jax.jit(stage.decode)
    invert, restore = jax.jit(draw.invert), jax.jit(draw.restore)

    def show(params, key):
        keys = jax.random.split(key, (classes, n))
        x0 = encode(images, keys[0])
        noise = invert(params, none, x0)
        found = {
            'samples': [drawn(params, jnp.full(n, k), keys[k], scale)[0] for k in range(classes)],
            'inversion': [x0, noise, restore(params, none, noise)],
            'interpolation': [restore(params, none, arc) for arc in arcs(noise)],
        }
        if scale is not None:
            found['guidance'] = [drawn(params, mixed, keys[0], s)[0] for s in SCALES]
        if x0.shape == images.shape:
            found['inpainting'] = [images, jnp.where(kept, images, 0), filled(params, keys[0])]
        media = {}
        for name, parts in found.items():
            shown = jax.device_get([decode(part) for part in parts])
            media[name] = rows(np.concatenate(shown), n, CAPTIONS[name])
        steps = drawn(params, mixed, keys[0], scale)[1]
        chosen = np.unique(np.linspace(0, len(steps) - 1, COLUMNS).round().astype(int))
        strip = np.stack(jax.device_get([decode(steps[i]) for i in chosen]), axis=1)
        media['strip'] = rows(strip.reshape(-1, *strip.shape[2:]), len(chosen), CAPTIONS['strip'])
        return media

    return show


@jax.jit
def arcs(noise: Float[Array, 'n *s']) -> list[Float[Array, 'n *s']]:
    """n noises on the way from each of the first to the next."""
    weights = jnp.linspace(0, 1, len(noise))

    def between(a, b):
        return jax.vmap(lambda w: editing.slerp(a[None], b[None], w)[0])(weights)

    return [between(noise[i], noise[i + 1]) for i in range(min(PAIRS, len(noise) - 1))]
