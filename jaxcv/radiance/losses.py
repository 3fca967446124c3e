"""What radiance fields are trained with, per ray or patch, for the caller to average. What keeps
grids smooth is beside them (`fields.planes`, `fields.voxels`)."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.radiance import packed as packing
from jaxcv.radiance.packed import Packed

EPSILON = 1e-6  # of what goes into a logarithm

# Photometric: of colors, the mean over channels


def squared(color: Float[Array, '*r c'], truth: Float[Array, '*r c']) -> Float[Array, '*r']:
    """Its mean over all rays gives PSNR = -10 log10."""
    return jnp.square(color - truth).mean(axis=-1)


def huber(
    color: Float[Array, '*r c'], truth: Float[Array, '*r c'], width: float = 0.1
) -> Float[Array, '*r']:
    """Half the square up to `width`, then linear (Huber 1964), divided by `width`."""
    error = jnp.abs(color - truth)
    inner = jnp.minimum(error, width)
    return (inner * (error - inner / 2)).mean(axis=-1) / width


def charbonnier(
    color: Float[Array, '*r c'], truth: Float[Array, '*r c'], width: float = 0.001
) -> Float[Array, '*r']:
    """sqrt(error^2 + width^2) (Barron et al. 2022, section 5)."""
    return jnp.sqrt(jnp.square(color - truth) + width**2).mean(axis=-1)


# Where along the ray


def distortion(weights: Float[Array, 'r s'], edges: Float[Array, 'r s+1']) -> Float[Array, 'r']:
    """sum_ij w_i w_j |m_i - m_j| + sum_i w_i^2 d_i / 3 with centers m and widths d (Barron et al.
    2022, eq. 15): small where a ray's weights lie together. Edges are best positions in [0, 1].

    The double sum is twice the sum over gaps between neighboring centers of the gap times the
    weight before times the weight behind it: s terms, none of them negative.
    """
    center = (edges[:, 1:] + edges[:, :-1]) / 2
    near = jnp.cumsum(weights, axis=-1)
    behind = near[:, -1:] - near
    between = (jnp.diff(center, axis=-1) * (near * behind)[:, :-1]).sum(axis=-1)
    within = (jnp.square(weights) * jnp.diff(edges, axis=-1)).sum(axis=-1)
    return 2 * between + within / 3


def packed_distortion(packed: Packed, weights: Float[Array, 'n']) -> Float[Array, 'r']:
    """`distortion` of packed samples, in units of t."""
    near = packing.before(packed, weights)
    behind = packing.per_ray(packed, weights)[packed.ray] - near
    nearer = jnp.pad(packed.center, (1, 0))[:-1]
    gap = jnp.where(packed.rank > 0, packed.center - nearer, 0.0)
    within = jnp.square(weights) * (packed.end - packed.start)
    return packing.per_ray(packed, 2 * gap * near * behind + within / 3)


def entropy(opacity: Float[Array, '*r']) -> Float[Array, '*r']:
    """Of the opacity of rays: 0 where they meet something or nothing, log 2 in between."""
    p = jnp.clip(opacity, EPSILON, 1 - EPSILON)
    return -p * jnp.log(p) - (1 - p) * jnp.log1p(-p)


# Few photographs


def depth_error(depth: Float[Array, '*r'], known: Float[Array, '*r']) -> Float[Array, '*r']:
    """The squared distance of the mean depth from one that is known (Deng et al. 2022); 0: none
    is."""
    return jnp.where(known > 0, jnp.square(depth - known), 0.0)


def roughness(depth: Float[Array, '*p h w'], opacity: Float[Array, '*p h w']) -> Float[Array, '*p']:
    """Of patches: squared differences of depth between neighboring pixels, summed (Niemeyer et al.
    2022, eq. 4), as far as there is something to be seen in both."""
    solid = jax.lax.stop_gradient(opacity)
    down = solid[..., 1:, :] * solid[..., :-1, :] * jnp.square(jnp.diff(depth, axis=-2))
    right = solid[..., 1:] * solid[..., :-1] * jnp.square(jnp.diff(depth, axis=-1))
    return down.sum((-2, -1)) + right.sum((-2, -1))
