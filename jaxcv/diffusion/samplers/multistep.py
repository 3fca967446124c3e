"""Linear multistep methods: the noise is extrapolated from that of the steps before.

dx = noise dsigma where alpha is 1, and any process is of that form for x / alpha.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.diffusion.parameterization import Images, Prediction, divided
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers.ddim import moved
from jaxcv.diffusion.sampling import Sampler
from jaxcv.errors import UserError

# Adams-Bashforth for equal steps, newest first.
ADAMS_BASHFORTH = (
    (1.0, 0.0, 0.0, 0.0),
    (3 / 2, -1 / 2, 0.0, 0.0),
    (23 / 12, -16 / 12, 5 / 12, 0.0),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def pndm(order: int = 4) -> Sampler:
    """Pseudo linear multistep (Liu et al. 2022, PLMS as Stable Diffusion has it): Adams-Bashforth
    weights as if steps were equal, then DDIM's step with that noise. The first step is Heun's, at
    the price of one more evaluation."""
    check(order)
    table = jnp.asarray(ADAMS_BASHFORTH[:order])

    def start(x):
        return 0, jnp.zeros((3, *x.shape), x.dtype)

    def step(denoise, x, memory, now, after, keys):
        (count, past), prediction = memory, denoise(x, now)

        def heun():
            second = denoise(moved(prediction.x0, prediction.noise, after, keys), after)
            return (prediction.noise + second.noise) / 2

        def multistep():
            return combined(table[jnp.minimum(count, order - 1)], prediction.noise, past)

        twice = (count == 0) & (after.sigma > 0)
        noise = jax.lax.cond(twice, heun, multistep) if order > 1 else prediction.noise
        past = jnp.concatenate([prediction.noise[None], past[:2]])
        return along(prediction, noise, now, after), (count + 1, past), prediction

    return Sampler(start, step)


def lms(order: int = 4) -> Sampler:
    """Adams-Bashforth for the steps as they are, in sigma/alpha: the polynomial through the last
    `order` noises, integrated over the step."""
    check(order)

    def start(x):
        return 0, jnp.zeros(3), jnp.zeros((3, *x.shape), x.dtype)

    def step(denoise, x, memory, now, after, keys):
        (count, places, past), prediction = memory, denoise(x, now)
        here, there = ratio(now), ratio(after)
        weights = quadrature(jnp.minimum(count + 1, order), here, there, places)
        noise = combined(weights, prediction.noise, past)
        places = jnp.concatenate([here[None], places[:2]])
        past = jnp.concatenate([prediction.noise[None], past[:2]])
        return along(prediction, noise, now, after), (count + 1, places, past), prediction

    return Sampler(start, step)


def quadrature(
    order: Float[Array, ''],
    here: Float[Array, ''],
    there: Float[Array, ''],
    places: Float[Array, '3'],
) -> Float[Array, '4']:
    """Weights, newest first, with which values at `here` and the earlier `places` give the mean
    over [here, there] of the polynomial through the first `order` of them. They solve
    sum_j w_j u_j^k = 1 / (k + 1) with u = (place - here) / (there - here)."""
    u = jnp.concatenate([jnp.zeros(1), (places - here) / (there - here)])
    index = jnp.arange(4)
    used = index < order
    nodes = jnp.where(used, u, 0.0)
    powers = jnp.where(index[:, None] == 0, 1.0, nodes[None] ** index[:, None])
    matrix = jnp.where(used[:, None] & used[None], powers, jnp.eye(4))
    return jnp.linalg.solve(matrix, jnp.where(used, 1 / (index + 1), 0.0))


def ratio(level: Level) -> Float[Array, '']:
    return level.sigma / jnp.maximum(level.alpha, 1e-10)


def combined(weights: Float[Array, 'k'], newest: Images, past: Float[Array, '3 b *s']) -> Images:
    """Weighted sum of noises, newest first."""
    values = jnp.concatenate([newest[None], past])[: len(weights)]
    return jnp.tensordot(weights, values, 1)


def along(prediction: Prediction, noise: Images, now: Level, after: Level) -> Images:
    """x to another level if its noise is `noise`: DDIM's step, and the difference from the
    predicted noise over the step in sigma/alpha."""
    length = after.sigma - divided(after.alpha * now.sigma, now.alpha)
    straight = after.alpha * prediction.x0 + after.sigma * prediction.noise
    return straight + length * (noise - prediction.noise)


def check(order: int) -> None:
    if not 1 <= order <= 4:
        raise UserError(f'the order of a multistep method is {order}, but must be 1, 2, 3 or 4')
