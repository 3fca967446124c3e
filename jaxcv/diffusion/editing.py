"""Editing images with a denoiser as it is: no weight changes.

Pictures are [-1, 1]; a mask is True where the picture is to be kept.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.diffusion.parameterization import Denoiser, Images, Prediction
from jaxcv.diffusion.process import Level, at, noised
from jaxcv.diffusion.sampling import Keys, Sampler, sample, stream
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

START = 2**31 - 1  # the stream of keys that noise to begin with is drawn from; no step has it


def sdedit(
    sampler: Sampler,
    denoise: Denoiser,
    levels: Level,
    image: Images,
    keys: Keys,
    strength: float,
) -> Images:
    """Noise to a part of the path, and back (Meng et al. 2022). strength: the part, from 0, which
    returns the image, to 1, which forgets it but for what the noisiest level leaves."""
    if not 0 <= strength <= 1:
        raise UserError(f'the strength of an edit is {strength}, but must lie between 0 and 1')
    steps = len(levels.alpha) - 1
    rest = at(levels, slice(steps - round(strength * steps), None))
    if len(rest.alpha) == 1:
        return image
    x = noised(image, normal(stream(keys, START), image.shape[1:]), at(rest, 0))
    return sample(sampler, denoise, rest, x, keys)[0]


def keep(image: Images, mask: Bool[Array, 'b ...']) -> Callable:
    """A change of every step, for `sample`: what the mask covers is the image, as noisy as the
    rest (the replacement method of Song et al. 2021). At the end it is the image itself."""

    def change(step, x, keys):
        known = noised(image, normal(keys, image.shape[1:]), step.after)
        return jnp.where(mask, known, x)

    return change


def repaint(levels: Level, jump: int, times: int) -> Level:
    """The path of RePaint (Lugmayr et al. 2022): every `jump` steps it climbs back to where they
    began, until it has gone through them `times` times. For samplers made by `climbing`."""
    steps = len(levels.alpha) - 1
    path = [0]
    for first in range(0, steps, jump):
        down = list(range(first + 1, min(first + jump, steps) + 1))
        path += (down + [first]) * (times - 1) + down
    return at(levels, np.asarray(path))


def climbing(sampler: Sampler) -> Sampler:
    """`sampler` on paths that also climb to noisier levels: there it adds noise, and a method that
    remembers steps begins anew."""

    def start(x):
        return sampler.start(x), Prediction(x, jnp.zeros_like(x), None)

    def step(denoise, x, memory, now, after, keys):
        def up(x, memory):
            return climb(x, now, after, keys), (sampler.start(x), memory[1])

        def down(x, memory):
            x, inner, prediction = sampler.step(denoise, x, memory[0], now, after, keys)
            return x, (inner, prediction._replace(spread=None))

        noisier = after.sigma * now.alpha > now.sigma * after.alpha
        x, memory = jax.lax.cond(noisier, up, down, x, memory)
        return x, memory, memory[1]

    return Sampler(start, step)


def climb(x: Images, now: Level, after: Level, keys: Keys) -> Images:
    """Forward in time: q(x_after | x_now) for a noisier level."""
    ratio = after.alpha / now.alpha
    spread = jnp.sqrt(jnp.maximum(after.sigma**2 - (ratio * now.sigma) ** 2, 0))
    return ratio * x + spread * normal(keys, x.shape[1:])


def slerp(a: Images, b: Images, weight: Float[Array, '']) -> Images:
    """From a (weight 0) to b (1) along the arc between them, sample by sample: the mixture of two
    noises is as long as they are."""
    axes = tuple(range(1, a.ndim))
    norms = jnp.sqrt((a**2).sum(axes, keepdims=True) * (b**2).sum(axes, keepdims=True))
    angle = jnp.arccos(jnp.clip((a * b).sum(axes, keepdims=True) / norms, -1, 1))
    # sin(w angle) / sin(angle), which is w where a and b are parallel.
    near = jnp.sin(angle) < 1e-4
    sine = jnp.where(near, 1.0, jnp.sin(angle))
    first = jnp.where(near, 1 - weight, jnp.sin((1 - weight) * angle) / sine)
    second = jnp.where(near, weight, jnp.sin(weight * angle) / sine)
    return first * a + second * b
