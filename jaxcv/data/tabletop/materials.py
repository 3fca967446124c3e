"""What surfaces look like: two colors mixed by a pattern that fills space, and a highlight."""

from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import choose

PATTERNS = ('plain', 'checks', 'stripes', 'noise')
GAMMA = 2.2
OCTAVES = 3


class Material(NamedTuple):
    """Patterns are functions of position in the object's frame, so they move with it."""

    colors: Float[Array, '*n 2 3']  # linear albedo in [0, 1], mixed by the pattern's value
    pattern: Int[Array, '*n']  # an index into PATTERNS
    scale: Float[Array, '*n 3']  # cells, periods or lumps per unit of length, along each axis
    warp: Float[Array, '*n']  # periods by which noise shifts stripes: veins and grain
    specular: Float[Array, '*n']  # strength of the highlight
    shininess: Float[Array, '*n']  # its exponent


def material(
    color: str,
    second: str | None = None,
    pattern: str = 'plain',
    scale: float | tuple[float, float, float] = 1.0,
    warp: float = 0.0,
    specular: float = 0.15,
    shininess: float = 30.0,
) -> Material:
    """Of one object. Colors as '#rrggbb', as a screen shows them."""
    return Material(
        np.stack([linear(color), linear(second or color)]),
        np.int32(PATTERNS.index(choose(pattern, PATTERNS, 'the pattern of a material'))),
        np.broadcast_to(np.float32(scale), (3,)),
        np.float32(warp),
        np.float32(specular),
        np.float32(shininess),
    )


def linear(color: str) -> np.ndarray:
    """'#rrggbb' as light, float32 [3]."""
    encoded = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
    return (encoded / 255) ** np.float32(GAMMA)


def encoded(light: Float[Array, '*b']) -> Float[Array, '*b']:
    """Light as a screen takes it, in [0, 1]."""
    return jnp.clip(light, 1e-6, 1) ** (1 / GAMMA)


def pattern_value(
    material: Material, x: Float[Array, '*n'], y: Float[Array, '*n'], z: Float[Array, '*n']
) -> Float[Array, '*n']:
    """How much of the second color there is at a place in the object's frame, in [0, 1]."""
    place = tuple(material.scale[..., i] * value for i, value in enumerate((x, y, z)))
    lumps = noise(*place)
    parity = sum(jnp.floor(value) for value in place) % 2
    waves = 0.5 + 0.5 * jnp.sin(2 * jnp.pi * (sum(place) + material.warp * lumps))
    stripes = jnp.clip(3 * waves - 1, 0, 1)
    kinds = (jnp.zeros_like(lumps), parity, stripes, jnp.clip(2 * lumps - 0.5, 0, 1))
    return jnp.select([material.pattern == i for i in range(len(kinds))], kinds)


def noise(
    x: Float[Array, '*n'], y: Float[Array, '*n'], z: Float[Array, '*n']
) -> Float[Array, '*n']:
    """Smooth noise in [0, 1]: octaves of random values on a lattice (Perlin's fractal sum)."""
    total = 0.0
    for octave in range(OCTAVES):
        step = 2.0**octave
        total = total + _lattice(octave, step * x, step * y, step * z) / step
    return total / (2 - 2.0 ** (1 - OCTAVES))


def _lattice(salt, *place):
    corners = [jnp.floor(value) for value in place]
    cells = [corner.astype(jnp.int32).astype(jnp.uint32) for corner in corners]
    ease = [
        jnp.square(f) * (3 - 2 * f) for f in (v - c for v, c in zip(place, corners, strict=True))
    ]
    total = 0.0
    for corner in range(8):
        bits = [corner >> axis & 1 for axis in range(3)]
        value = _hashed(salt, *(cell + bit for cell, bit in zip(cells, bits, strict=True)))
        for bit, weight in zip(bits, ease, strict=True):
            value = value * (weight if bit else 1 - weight)
        total = total + value
    return total


def _hashed(salt, *cell):
    """A number in [0, 1) that looks random, from three uint32."""
    value = jnp.uint32(0x9E3779B9 * (salt + 1) % 2**32)
    for part in cell:
        value = (value ^ part) * jnp.uint32(0x85EBCA6B)
        value = value ^ (value >> 15)
        value = value * jnp.uint32(0xC2B2AE35)
        value = value ^ (value >> 13)
    return (value >> 8).astype(jnp.float32) / 2**24
