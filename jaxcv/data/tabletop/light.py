"""The colors of surfaces under a sun and a sky."""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.cameras.boxes import span
from jaxcv.cameras.rotations import normalized
from jaxcv.data.tabletop.materials import encoded, pattern_value
from jaxcv.data.tabletop.world import Scene, bounds, distance, local, normals, owner

SHADOW_STEPS = 48
SKIN = 2e-3  # how far from the surface patterns are looked up, and shadows begin
REACHES = (0.04, 0.1, 0.2)  # along the normal, where it is judged how open a place is
CORNER = 0.35  # what light reaches the darkest corner


class Light(NamedTuple):
    """Strengths are what a white surface that faces the light sends back."""

    toward: Float[Array, '3']  # the sun, unit length
    sun: Float[Array, '3']
    sky: Float[Array, '3']  # from above
    ground: Float[Array, '3']  # from below
    width: Float[Array, '']  # of half shadows: how far they grow per unit of length


LIGHT = Light(
    toward=np.float32([0.48, 0.36, 0.8]),
    sun=np.float32([0.86, 0.8, 0.7]),
    sky=np.float32([0.42, 0.46, 0.54]),
    ground=np.float32([0.24, 0.21, 0.18]),
    width=np.float32(0.12),
)


def shade(
    scene: Scene,
    light: Light,
    points: Float[Array, 'n 3'],
    directions: Float[Array, 'n 3'],
    found: Bool[Array, 'n'],
) -> Float[Array, 'n 3']:
    """Colors of surface points seen along unit directions, as a screen shows them: Lambert and
    Blinn-Phong (Blinn 1977) under the sun, and a sky that corners see less of. Those that are not
    `found` have any color."""
    out = normals(scene, points)
    albedo, specular, shininess = _surface(scene, points - SKIN * out)
    facing = jnp.maximum((out * light.toward).sum(-1), 0)
    seen = soft_shadow(scene, light, points + SKIN * out, found & (facing > 0))
    half = normalized(light.toward - directions)
    shine = specular * jnp.maximum((out * half).sum(-1), 1e-6) ** shininess
    above = (0.5 + 0.5 * out[:, 2:]) * openness(scene, points, out)[:, None]
    below = 0.5 - 0.5 * out[:, 2:]
    ambient = light.sky * above + light.ground * below
    diffuse = albedo * (light.sun * (facing * seen)[:, None] + ambient)
    return encoded(diffuse + light.sun * (shine * seen)[:, None])


def _surface(scene, points):
    """(albedo, specular, shininess) at points just below the surface, where cells of a pattern
    that end with the object do not flicker."""
    index, colors = owner(scene, points)
    own = jax.tree.map(lambda leaf: jnp.take(leaf, index, axis=0), scene)
    value = pattern_value(own.material, *local(own, *jnp.moveaxis(points, -1, 0)))[:, None]
    albedo = (1 - value) * colors[:, 0] + value * colors[:, 1]
    return albedo, own.material.specular, own.material.shininess


def soft_shadow(
    scene: Scene, light: Light, points: Float[Array, 'n 3'], active: Bool[Array, 'n']
) -> Float[Array, 'n']:
    """What part of the sun is seen from points off the surface, in [0, 1]; 0 where not active. By
    how closely the way there passes by something, compared with how far off that is (Quilez)."""
    toward = jnp.broadcast_to(light.toward, points.shape)
    _, end = span(points, toward, *bounds(scene))

    def going(state):
        *_, active, step = state
        return active.any() & (step < SHADOW_STEPS)

    def forward(state):
        length, open_part, active, step = state
        free = distance(scene, points + length[:, None] * toward)
        seen = jnp.minimum(open_part, free / (light.width * length))
        open_part = jnp.where(active, seen, open_part)
        length = jnp.where(active, length + jnp.clip(free, 0.01, 0.1), length)
        return length, open_part, active & (open_part > 0) & (length < end), step + 1

    start = jnp.full(len(points), 0.01), jnp.where(active, 1.0, 0.0), active, jnp.int32(0)
    _, part, _, _ = jax.lax.while_loop(going, forward, start)
    part = jnp.clip(part, 0, 1)
    return part * part * (3 - 2 * part)


def openness(
    scene: Scene, points: Float[Array, 'n 3'], normals: Float[Array, 'n 3']
) -> Float[Array, 'n']:
    """How much of the sky is not covered by what is near, in [CORNER, 1]: by how far the surface
    is from places along the normal (Evans 2006)."""
    free = [distance(scene, points + reach * normals) / reach for reach in REACHES]
    return CORNER + (1 - CORNER) * jnp.clip(sum(free) / len(REACHES), 0, 1)
