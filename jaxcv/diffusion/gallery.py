"""What a person sees of a trained network: pictures it draws, how they come about, what guidance
does to them, and real pictures that it turns to noise, mixes and completes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.autoencoder.stage import Stage
from jaxcv.diffusion import editing, masks, pictures
from jaxcv.diffusion.drawing import Draw
from jaxcv.viz import Picture

SCALES = (1.0, 2.0, 4.0, 8.0)  # of the guidance that is shown
PAIRS = 4  # of pictures that are mixed
CAPTIONS = {
    'samples': 'Drawn pictures; a row for each class, if there are classes',
    'guidance': f'The same noise with guidance {", ".join(f"{s:g}" for s in SCALES)}',
    'inversion': 'Real pictures, the noise they come from, and what it becomes',
    'interpolation': 'From one real picture (left) to another, through the noise they come from',
    'inpainting': 'Real pictures, what is known of them, and how they are completed',
}


class Real(NamedTuple):
    """Real pictures, to edit."""

    images: Float[Array, 'n h w c']  # in [-1, 1]
    labels: Int[Array, 'n']


def gallery(
    draw: Draw, stage: Stage, real: Real, classes: int, null: int | None, fills: bool
) -> Callable[[PyTree, Key[Array, '']], dict[str, Picture]]:
    """(params, key) -> pictures by name. classes: how many, at least 1; null: the number of the
    null class, if the network is told classes; fills: whether it learned to fill in."""
    n = len(real.images)
    none = jnp.full(n, 0 if null is None else null)
    kept = jnp.arange(real.images.shape[2])[:, None] < real.images.shape[2] // 2

    @jax.jit
    def made(params, key):
        keys = jax.random.split(key, n * classes)
        labels, few = jnp.repeat(jnp.arange(classes), n), keys[:n]
        mixed = labels[::classes]
        x0 = stage.encode(real.images, few)
        noise = draw.invert(params, none, x0)
        found = {
            'samples': draw.sample(params, labels, keys)[0],
            'strip': draw.sample(params, mixed, few, watch=lambda step: step.prediction.x0)[1],
            'inversion': jnp.stack([x0, noise, draw.restore(params, none, noise)]),
            'interpolation': interpolated(draw, params, none, noise),
        }
        if null is not None:
            found['guidance'] = jax.lax.map(
                lambda scale: draw.sample(params, mixed, few, scale)[0], jnp.array(SCALES)
            )
        found = jax.tree.map(lambda x: decoded(stage, x), found)
        if x0.shape == real.images.shape:
            found['inpainting'] = completed(params, few)
        return found

    def completed(params, keys):
        x, labels = real
        told = {'known': masks.known(x, kept)} if fills else {}
        filled = draw.sample(params, labels, keys, change=editing.keep(x, kept), **told)[0]
        return jnp.stack([x, jnp.where(kept, x, 0), filled])

    def show(params, key):
        found = jax.device_get(made(params, key))
        strip = found.pop('strip')
        media = {
            name: pictures.rows(x.reshape(-1, *x.shape[-3:]), n, CAPTIONS[name])
            for name, x in found.items()
        }
        return media | {'strip': pictures.strip(strip, 'The predicted picture, as the noise goes')}

    return show


def interpolated(
    draw: Draw, params: PyTree, labels: Int[Array, 'n'], noise: Float[Array, 'n *s']
) -> Float[Array, 'm n *s']:
    """n pictures on the arc from each of the first noises to the next."""
    weights = jnp.linspace(0, 1, len(noise))

    def between(ends):
        a, b = (jnp.broadcast_to(end, noise.shape) for end in ends)
        arc = jax.vmap(lambda a, b, w: editing.slerp(a[None], b[None], w)[0])(a, b, weights)
        return draw.restore(params, labels, arc)

    return jax.lax.map(between, (noise[:PAIRS], noise[1 : PAIRS + 1]))


def decoded(stage: Stage, x: Float[Array, '... h w d']) -> Float[Array, '... H W c']:
    """Pictures of latents with any leading axes."""
    flat = stage.decode(x.reshape(-1, *x.shape[-3:]))
    return flat.reshape(*x.shape[:-3], *flat.shape[1:])
