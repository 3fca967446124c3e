"""A field that is read off pictures of a scene, not learned for it: PixelNeRF (Yu et al. 2021)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras import Camera, inverse, make, project
from jaxcv.nn import Conv, Dense
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.radiance.fields.field import Condition, Field, Radiance, activate
from jaxcv.radiance.fields.frequency import frequency
from jaxcv.radiance.fields.grid import interpolate


class Sources(NamedTuple):
    """What is known of a scene: v pictures."""

    maps: Float[Array, 'v h w f']  # features of their pixels
    cameras: Camera  # [v]


class Encoder(linen.Module):
    """Features of every pixel of pictures in [-1, 1]: those of the picture and of ever smaller ones
    (each half of the last), brought to its size."""

    widths: Sequence[int] = (32, 32, 32, 32)
    groups: int = 8

    @linen.compact
    def __call__(self, images: Float[Array, 'b h w 3']) -> Float[Array, 'b h w f']:
        x, maps = images, []
        for i, width in enumerate(self.widths):
            x = Conv(width, (3, 3), 1 if i == 0 else 2, name=f'in{i}')(x)
            y = jax.nn.relu(GroupNorm(self.groups, name=f'norm{i}')(x))
            x = x + Conv(width, name=f'out{i}')(y)
            maps.append(jax.image.resize(x, (*images.shape[:3], width), 'bilinear'))
        return jnp.concatenate(maps, axis=-1)


class PixelField(Field):
    """Places and directions as the camera of each source sees them, and features of the pixel where
    it sees the place, pass `blocks` residual blocks: `apart` of these take the sources one by one
    and have the features added before, the others take their mean.

    The variable `sources/known` holds `Sources`, whose maps have `features` channels."""

    features: int = 128
    width: int = 64
    blocks: int = 5
    apart: int = 3
    octaves: int = 6
    activation: str = 'shifted_softplus'

    @linen.compact
    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        sources = self.variable('sources', 'known', nothing, self.features).value
        turn, move = sources.cameras.pose[:, None, :, :3], sources.cameras.pose[:, None, :, 3]
        places = jnp.einsum('vnij,nj->vni', turn, positions, precision='highest') + move
        ways = jnp.einsum('vnij,nj->vni', turn, directions)
        seen = jax.vmap(pixel_features, (0, 0, None))(*sources, positions)

        x = Dense(self.width)(jnp.concatenate([places, frequency(places, self.octaves), ways], -1))
        for i in range(self.blocks):
            if i < self.apart:
                x = x + Dense(self.width)(seen)
            if i == self.apart:
                x = x.mean(0)
            y = Dense(self.width)(jax.nn.relu(x))
            x = x + Dense(self.width, kernel_init=linen.initializers.zeros)(jax.nn.relu(y))
        raw = Dense(4)(jax.nn.relu(x))
        return Radiance(activate(raw[:, 0], self.activation), jax.nn.sigmoid(raw[:, 1:]))

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        """As the first source sees it: this density depends on the direction."""
        sources = self.get_variable('sources', 'known')
        away = positions - inverse(sources.cameras.pose[0])[:, 3]
        return self(positions, away / jnp.linalg.norm(away, axis=-1, keepdims=True)).density


def pixel_features(
    features: Float[Array, 'h w f'], camera: Camera, positions: Float[Array, 'n 3']
) -> Float[Array, 'n f']:
    """Those of the pixels where places are seen; beside the picture those of its edge."""
    height, width, channels = features.shape
    pixels, _ = project(camera, positions)
    steps = jnp.array([width - 1, height - 1])
    places = 2 * (pixels - 0.5) / steps - 1
    table = features.reshape(-1, channels)
    return interpolate(table, places[:, ::-1], (height - 1, width - 1))


def nothing(features: int) -> Sources:
    """One picture of two by two pixels."""
    camera = make(jnp.eye(4)[None, :3], 1.0, 2, 2)
    return Sources(jnp.zeros((1, 2, 2, features)), camera)
