"""Sines and cosines of octaves: the encoding of NeRF, and its mean over a Gaussian."""

from jax import numpy as jnp
from jaxtyping import Array, Float


def frequency(
    x: Float[Array, '*s d'], octaves: int, variance: Float[Array, '*s d'] | None = None
) -> Float[Array, '*s 2*octaves*d']:
    """sin and cos of 2^k pi x for k < octaves (Mildenhall et al. 2020, eq. 4): all sines by octave
    and axis, then all cosines.

    With a variance it is the mean over x ~ N(x, variance) (Barron et al. 2021, eqs. 13-14, where
    the unit of length lacks the pi): E[sin(w x)] = sin(w x) exp(-w^2 variance / 2)."""
    scales = jnp.pi * 2.0 ** jnp.arange(octaves, dtype=x.dtype)
    angles = (x[..., None, :] * scales[:, None]).reshape(*x.shape[:-1], -1)
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
    if variance is None:
        return waves
    decay = jnp.exp(-0.5 * variance[..., None, :] * jnp.square(scales)[:, None])
    decay = decay.reshape(angles.shape)
    return waves * jnp.concatenate([decay, decay], -1)
