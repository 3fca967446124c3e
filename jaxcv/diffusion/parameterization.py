"""What a network's output means, and what it says about x0 and the noise.

eps    the noise
x0     the image
v      alpha noise - sigma x0 (Salimans & Ho 2022)
flow   noise - x0: the velocity of the straight path
edm    the image beyond what x itself tells, scaled to unit variance (Karras et al. 2022)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.diffusion.process import Level, Process, per_sample
from jaxcv.errors import UserError, choose

Images = Float[Array, 'b *s']
Network = Callable[[Images, Float[Array, 'b'], PyTree], Images]


class Prediction(NamedTuple):
    """What is believed about x. Consistent: x = alpha x0 + sigma noise."""

    x0: Images
    noise: Images
    spread: Images | None = None  # 0 ... 1 between log small and log large variance, if learned


Denoiser = Callable[[Images, Level], Prediction]


class Parameterization(NamedTuple):
    """scale_input  (x, level) -> what the network sees
    predict      (output, x, level) -> Prediction
    target       (x0, noise, level) -> what the output should be
    gain         level -> squared error of the output for one of x0, at the same x
    """

    scale_input: Callable[[Images, Level], Images]
    predict: Callable[[Images, Images, Level], Prediction]
    target: Callable[[Images, Images, Level], Images]
    gain: Callable[[Level], Float[Array, '*n']]


def unscaled(x: Images, level: Level) -> Images:
    return x


def eps() -> Parameterization:
    """The noise (Ho et al. 2020). Says nothing of x0 where alpha is 0."""

    def predict(output, x, level):
        alpha, sigma = sides(level, x)
        return Prediction((x - sigma * output) / alpha, output)

    return Parameterization(
        unscaled,
        predict,
        lambda x0, noise, level: noise,
        lambda level: jnp.square(level.alpha / level.sigma),
    )


def x0() -> Parameterization:
    """The image. Says nothing of the noise where sigma is 0: that is then taken to be 0."""

    def predict(output, x, level):
        alpha, sigma = sides(level, x)
        return Prediction(output, divided(x - alpha * output, sigma))

    return Parameterization(
        unscaled,
        predict,
        lambda x0, noise, level: x0,
        lambda level: jnp.ones_like(level.alpha),
    )


def v() -> Parameterization:
    """alpha noise - sigma x0 (Salimans & Ho 2022), well posed at both ends."""

    def predict(output, x, level):
        alpha, sigma = sides(level, x)
        norm = alpha**2 + sigma**2
        return Prediction((alpha * x - sigma * output) / norm, (sigma * x + alpha * output) / norm)

    def target(x0, noise, level):
        alpha, sigma = sides(level, x0)
        return alpha * noise - sigma * x0

    def gain(level):
        return jnp.square((level.alpha**2 + level.sigma**2) / level.sigma)

    return Parameterization(unscaled, predict, target, gain)


def flow() -> Parameterization:
    """noise - x0: the velocity of the straight path (Lipman et al. 2023), where time grows with
    noise. Well posed at both ends of any path."""

    def predict(output, x, level):
        alpha, sigma = sides(level, x)
        norm = alpha + sigma
        return Prediction((x - sigma * output) / norm, (x + alpha * output) / norm)

    return Parameterization(
        unscaled,
        predict,
        lambda x0, noise, level: noise - x0,
        lambda level: jnp.square((level.alpha + level.sigma) / level.sigma),
    )


def edm(sigma_data: float = 0.5) -> Parameterization:
    """Unit variance in and out for data of standard deviation sigma_data (Karras et al. 2022,
    table 1), written for x / alpha at the noise sigma / alpha and multiplied out, so that both ends
    are well posed. With d^2 = sigma^2 + alpha^2 sigma_data^2, the variance of x:

    input x / d;  x0 = alpha sigma_data^2 / d^2 x + sigma sigma_data / d output.
    """

    def deviation(level):
        return jnp.hypot(level.sigma, level.alpha * sigma_data)

    def scale_input(x, level):
        return x / per_sample(deviation(level), x)

    def predict(output, x, level):
        (alpha, sigma), d = sides(level, x), per_sample(deviation(level), x)
        x0 = alpha * sigma_data**2 / d**2 * x + sigma * sigma_data / d * output
        return Prediction(x0, sigma / d**2 * x - alpha * sigma_data / d * output)

    def target(x0, noise, level):
        (alpha, sigma), d = sides(level, x0), per_sample(deviation(level), x0)
        return (sigma * x0 - alpha * sigma_data**2 * noise) / (sigma_data * d)

    def gain(level):
        return jnp.square(deviation(level) / (level.sigma * sigma_data))

    return Parameterization(scale_input, predict, target, gain)


PARAMETERIZATIONS = {'eps': eps, 'x0': x0, 'v': v, 'flow': flow, 'edm': edm}


def parameterization(name: str, **options) -> Parameterization:
    """By name; options: sigma_data of edm."""
    return PARAMETERIZATIONS[choose(name, PARAMETERIZATIONS, 'the parameterization')](**options)


def sides(level: Level, x: Images) -> tuple[Array, Array]:
    return per_sample(level.alpha, x), per_sample(level.sigma, x)


def divided(a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0, in the gradient too."""
    zero = b == 0
    return jnp.where(zero, 0.0, a / jnp.where(zero, 1.0, b))


def require(name: str, where: Process | Level) -> None:
    """An error if eps is to be predicted at a level that holds nothing of the image."""
    choose(name, PARAMETERIZATIONS, 'the parameterization')
    with jax.ensure_compile_time_eval():  # inside jit too
        level = where if isinstance(where, Level) else where.level(where.top)
        without = bool(np.any(np.asarray(level.alpha) == 0))
    if name == 'eps' and without:
        raise UserError(
            'eps prediction says nothing about the image at a level of zero SNR (alpha = 0): '
            'predict v, x0, flow or edm, or take a schedule that ends above zero SNR'
        )


def denoiser(
    parameterization: Parameterization, network: Network, learned_variance: bool = False
) -> Callable[[Images, Level, PyTree], Prediction]:
    """(x, level, condition) -> Prediction. Levels are [] or [b].

    learned_variance: the network has twice the channels, the output and then the spread, which it
    gives in -1 ... 1 (Nichol & Dhariwal 2021, eq. 15)."""

    def denoise(x, level, condition=None):
        seen = parameterization.scale_input(x, level)
        output = network(seen, jnp.broadcast_to(level.time, x.shape[:1]), condition)
        output, spread = split(output, x, learned_variance)
        return parameterization.predict(output, x, level)._replace(spread=spread)

    return denoise


def split(output: Array, x: Images, learned_variance: bool) -> tuple[Images, Images | None]:
    """(output, spread in 0 ... 1) in x's precision."""
    expected = x.shape[-1] * (2 if learned_variance else 1)
    if output.shape != (*x.shape[:-1], expected):
        raise UserError(
            f'the network gives {output.shape} for images of {x.shape}, but '
            f'{expected} channels are expected with learned_variance={learned_variance}'
        )
    output = output.astype(x.dtype)
    if not learned_variance:
        return output, None
    output, spread = jnp.split(output, 2, axis=-1)
    return output, (spread + 1) / 2


# Thresholding: functions from denoisers to denoisers


def replaced(prediction: Prediction, x0: Images, level: Level) -> Prediction:
    """The same x explained with another x0: the noise follows. Unchanged pixels keep theirs."""
    alpha, sigma = sides(level, x0)
    noise = prediction.noise + divided(alpha * (prediction.x0 - x0), sigma)
    return prediction._replace(x0=x0, noise=noise)


def clipped(denoise: Denoiser, low: float = -1.0, high: float = 1.0) -> Denoiser:
    """Keeps x0 in the range of the data."""

    def wrapped(x, level):
        prediction = denoise(x, level)
        return replaced(prediction, jnp.clip(prediction.x0, low, high), level)

    return wrapped


def dynamic(denoise: Denoiser, quantile: float = 0.995) -> Denoiser:
    """Divides x0 by its own quantile of |x0| where that exceeds 1, and clips to [-1, 1] (Saharia et
    al. 2022)."""

    def wrapped(x, level):
        prediction = denoise(x, level)
        sizes = jnp.abs(prediction.x0).reshape(len(x), -1)
        scale = per_sample(jnp.maximum(jnp.quantile(sizes, quantile, axis=1), 1.0), x)
        return replaced(prediction, jnp.clip(prediction.x0 / scale, -1.0, 1.0), level)

    return wrapped
