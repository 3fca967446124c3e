"""The integral of volume rendering over intervals of constant density (Max 1995; Mildenhall et al.
2020, eq. 3): every ray has the same number of samples. `packed` does the same for few of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import choose

BACKGROUNDS = ('white', 'black', 'random')


class Rendered(NamedTuple):
    """What rays see. Depths are distances along the ray, of what the ray meets: 0 for a ray that
    meets nothing."""

    values: Float[Array, '*r c']
    opacity: Float[Array, '*r']  # in [0, 1]
    depth: Float[Array, '*r']  # mean of the interval centers by weight
    median: Float[Array, '*r']  # where half of the opacity is reached
    weights: Float[Array, '...']  # share of each sample in the values; [*r s], or packed


def render(
    density: Float[Array, '*r s'],
    values: Float[Array, '*r s c'],
    edges: Float[Array, '*r s+1'],
    background: Float[Array, '*r c'] | Float[Array, 'c'] | None = None,
) -> Rendered:
    """Values along rays, composited on the background.

    density     per unit of t, >= 0
    values      colors, or whatever else is wanted along with them
    edges       t in ascending order; the last may be infinite: its interval is opaque wherever its
                density is not 0
    background  what is behind; none is 0
    """
    width, center = intervals(edges)
    optical = optical_depth(density, width)
    passed = jnp.cumsum(optical, axis=-1)
    before = exclusive(passed)
    weights = jnp.exp(-before) * -jnp.expm1(-optical)
    half = half_depth(passed[..., -1])
    reached = crossing(edges[..., :-1], width, optical, before, half[..., None])
    color = jnp.einsum('...s,...sc->...c', weights, values, precision='highest')
    opacity = -jnp.expm1(-passed[..., -1])
    return Rendered(
        values=color if background is None else over(color, opacity, background),
        opacity=opacity,
        depth=normalized((weights * center).sum(axis=-1), opacity),
        median=jnp.max(reached, axis=-1),
        weights=weights,
    )


def weigh(density: Float[Array, '*r s'], edges: Float[Array, '*r s+1']) -> Float[Array, '*r s']:
    """The weights alone: T_i (1 - exp(-density_i width_i))."""
    optical = optical_depth(density, intervals(edges)[0])
    return jnp.exp(-exclusive(jnp.cumsum(optical, axis=-1))) * -jnp.expm1(-optical)


# The parts, also of packed samples


def intervals(
    edges: Float[Array, '*r s+1'],
) -> tuple[Float[Array, '*r s'], Float[Array, '*r s']]:
    """Widths and centers; the center of an infinite interval is its start."""
    start, end = edges[..., :-1], edges[..., 1:]
    return end - start, jnp.where(jnp.isinf(end), start, (start + end) / 2)


def optical_depth(density: Float[Array, '*s'], width: Float[Array, '*s']) -> Float[Array, '*s']:
    """density * width, where infinity times 0 is 0; infinite widths have no gradient."""
    infinite = jnp.isinf(width)
    opaque = jnp.where(density > 0, jnp.inf, 0.0)
    return jnp.where(infinite, opaque, density * jnp.where(infinite, 0.0, width))


def exclusive(sums: Float[Array, '*r s']) -> Float[Array, '*r s']:
    """Cumulative sums, each without its own term: infinite terms cannot be subtracted again."""
    return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)


def half_depth(total: Float[Array, '*r']) -> Float[Array, '*r']:
    """The optical depth at which half of the opacity of `total` is reached."""
    return -jnp.log1p(jnp.expm1(-total) / 2)


def crossing(
    start: Float[Array, '*s'],
    width: Float[Array, '*s'],
    optical: Float[Array, '*s'],
    before: Float[Array, '*s'],
    wanted: Float[Array, '*s'],
) -> Float[Array, '*s']:
    """For each interval how far the ray comes in it before it has `wanted` behind it; 0 where it
    has already. The largest along a ray is where the wanted optical depth is reached."""
    thick = optical > 0
    share = (wanted - before) / jnp.where(thick, optical, 1.0)
    share = jnp.where(thick, jnp.clip(share, 0.0, 1.0), 1.0)
    reached = start + share * jnp.where(jnp.isinf(width), 0.0, width)
    return jnp.where(before < wanted, reached, 0.0)


def normalized(total: Float[Array, '*r'], opacity: Float[Array, '*r']) -> Float[Array, '*r']:
    """A weighted sum as a mean; 0 where the weights are."""
    return total / jnp.maximum(opacity, jnp.finfo(opacity.dtype).eps)


# Backgrounds and normals


def backdrop(name: str, keys: Key[Array, 'r'], channels: int = 3) -> Float[Array, 'r channels']:
    """One per ray: 'white' (1), 'black' (0), or 'random' (uniform per ray and channel, so that
    neither can be learned as a part of the scene: Müller et al. 2022)."""
    choose(name, BACKGROUNDS, 'the background')
    if name == 'random':
        return jax.vmap(lambda key: jax.random.uniform(key, (channels,)))(keys)
    return jnp.full((len(keys), channels), float(name == 'white'))


def over(
    color: Float[Array, '*r c'],
    opacity: Float[Array, '*r'],
    background: Float[Array, '*r c'] | Float[Array, 'c'],
) -> Float[Array, '*r c']:
    """A color that is already multiplied by its opacity, on a background."""
    return color + (1 - opacity[..., None]) * background


def composite(
    pixels: Float[Array, '*r c'], background: Float[Array, '*r 3'] | Float[Array, '3']
) -> Float[Array, '*r 3']:
    """Pixels of a picture on the background that rays are rendered on, if they have (straight)
    alpha: c is 4, or 3."""
    if pixels.shape[-1] == 3:
        return pixels
    return over(pixels[..., :3] * pixels[..., 3:], pixels[..., 3], background)


def normals(
    density: Callable[[Float[Array, 'n 3']], Float[Array, 'n']], points: Float[Array, 'n 3']
) -> Float[Array, 'n 3']:
    """Unit vectors along which density falls fastest; 0 where it is constant."""
    slope = -jax.grad(lambda x: density(x).sum())(points)
    return unit(slope)


def unit(vectors: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
    """Vectors of length 1; 0 stays 0, and has a gradient."""
    square = jnp.square(vectors).sum(axis=-1, keepdims=True)
    return vectors / jnp.sqrt(jnp.where(square > 0, square, 1.0))
