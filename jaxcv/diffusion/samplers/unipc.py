"""UniPC (Zhao et al. 2023): a predictor and a corrector for the image, with one evaluation a step.

Both integrate the polynomial in l = log(alpha/sigma) through the predicted images exactly against
the solution's exponential. The corrector also has the prediction at the end of its step, which the
next step needs anyway.
"""

import math

from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.diffusion.parameterization import Images
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers.dpm_solver import carried, log_ratio
from jaxcv.diffusion.sampling import Sampler
from jaxcv.errors import UserError, choose

VARIANTS = ('bh1', 'bh2')


def unipc(order: int = 2, variant: str = 'bh2', corrector: bool = True) -> Sampler:
    """order: 1 to 3, of the predictor; the corrector's is one more. Lower in the first steps, and
    the predictor's is 1 into a clean level.

    variant: B(h) = e^-h - 1 ('bh2') or -h ('bh1', better for few steps without guidance). It
    matters where one coefficient is not solved for but 1/2: B(h) cancels from the others."""
    choose(variant, VARIANTS, 'the variant of UniPC')
    if order not in (1, 2, 3):
        raise UserError(f'the order of UniPC is {order}, but must be 1, 2 or 3')

    def start(x):
        zero = jnp.zeros((), x.dtype)
        level = Level(zero, zero + 1, zero)
        nowhere = -100.0 * jnp.arange(1, 4)  # distinct, so that nothing unused divides by 0
        return 0, x, level, jnp.zeros((3, *x.shape), x.dtype), nowhere

    def step(denoise, x, memory, now, after, keys):
        (count, origin, before, past, places), prediction = memory, denoise(x, now)
        here, x0 = log_ratio(now), prediction.x0
        if corrector:
            width = here - places[0]
            nodes = jnp.stack([here, places[1], places[2]]) - places[0]
            weights = coefficients(jnp.minimum(count, order), width, nodes / width, variant)
            values = jnp.stack([x0, past[1], past[2]])
            corrected = carried(origin, mixed(past[0], values, weights), before, now, keys)
            x = jnp.where(count > 0, corrected, x)

        width = log_ratio(after) - here
        unknown = jnp.where(after.sigma > 0, jnp.minimum(count, order - 1), 0)
        weights = coefficients(unknown, width, (places - here) / width, variant)
        new = carried(x, mixed(x0, past, weights), now, after, keys)
        past = jnp.concatenate([x0[None], past[:2]])
        places = jnp.concatenate([here[None], places[:2]])
        return new, (count + 1, x, now, past, places), prediction

    return Sampler(start, step)


def mixed(base: Images, values: Float[Array, '3 b *s'], weights: Float[Array, '3']) -> Images:
    """base + sum_k w_k (value_k - base)."""
    return base + jnp.tensordot(weights, values - base, 1)


def coefficients(
    unknown: Int[Array, ''], h: Float[Array, ''], nodes: Float[Array, '3'], variant: str
) -> Float[Array, '3']:
    """Weights of the differences between the predictions at `nodes`, in units of the step h, and
    the one where the step begins; 0 beyond the first `unknown`.

    sum_k w_k r_k^i = i! phi_{i+1}(-h) / phi_1(-h) for i = 1 ... unknown (eq. 9 and 12)."""
    phi = phis(-h)
    index = jnp.arange(3)
    used = index < unknown
    r = jnp.where(used, nodes, 1.0)
    factorials = jnp.asarray([1.0, 2.0, 6.0])
    matrix = jnp.where(used[:, None] & used[None], r[None] ** index[:, None], jnp.eye(3))
    solved = jnp.linalg.solve(matrix, jnp.where(used, factorials * phi[1:] / phi[0], 0.0))
    half = 0.5 if variant == 'bh2' else 0.5 / phi[0]
    single = jnp.where(index == 0, half, 0.0)
    return jnp.where(unknown == 1, single, solved) / r


def phis(z: Float[Array, '']) -> Float[Array, '4']:
    """phi_1 ... phi_4, where phi_k(z) = sum_j z^j / (j + k)!; by the recursion
    phi_{k+1} = (phi_k - 1/k!) / z where that does not cancel."""
    small = jnp.abs(z) < 1
    series = [sum(z**j / float(math.factorial(j + k)) for j in range(10)) for k in range(1, 5)]
    far = jnp.where(small, 1.0, z)
    closed = [jnp.expm1(far) / far]
    for k in range(1, 4):
        closed.append((closed[-1] - 1 / math.factorial(k)) / far)
    return jnp.where(small, jnp.stack(series), jnp.stack(closed))
