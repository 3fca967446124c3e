"""Scenes that move: Gaussians at a time are those of all times, changed by what planes of space and
time know of their places (4D-GS, Wu et al. 2024, arXiv 2310.08528)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.errors import choose
from jaxcv.nn import Dense
from jaxcv.radiance.fields.mlp import MLP
from jaxcv.radiance.fields.planes import Planes
from jaxcv.splat.gaussians import Gaussians

START = (0.5, 1.5)  # of planes: products far from 1 leave the network to its biases, which kill it
# What may change with time, and how many numbers that takes; of harmonics those of degree 0.
SIZES = {'means': 3, 'log_scales': 3, 'rotations': 4, 'opacity_logits': 1, 'sh': 3}


class Deformation(linen.Module):
    """What is added to the fields `changes` of Gaussians, at first nothing.

    cells, time_cells, features  the planes (`Planes`) of the box [-1, 1]^3
    widths                       hidden layers of the network that reads them
    """

    cells: tuple[int, ...] = (32, 64)
    time_cells: int = 24
    features: int = 16
    widths: tuple[int, ...] = (64,)
    changes: tuple[str, ...] = ('means', 'log_scales', 'rotations')

    def setup(self):
        for name in self.changes:
            choose(name, SIZES, 'what changes with time')
        self.planes = Planes(self.cells, self.time_cells, self.features, START)
        self.network = Network(self.widths, self.changes)

    def __call__(self, gaussians: Gaussians, time: Float[Array, '']) -> Gaussians:
        """The Gaussians at a time in [0, 1]."""
        found = self.network(self.planes(gaussians.means, time))
        moved = {name: plus(getattr(gaussians, name), found[name]) for name in self.changes}
        return gaussians._replace(**moved)

    def penalties(self) -> dict[str, Float[Array, '']]:
        return self.planes.penalties()


class Network(linen.Module):
    """Features to changes by name: layers that all share, then a linear one for each, which starts
    at 0."""

    widths: tuple[int, ...]
    changes: tuple[str, ...]

    @linen.compact
    def __call__(self, x: Float[Array, 'n c']) -> dict[str, Float[Array, 'n k']]:
        x = linen.relu(MLP(self.widths[:-1], self.widths[-1], name='hidden')(x))
        zeros = linen.initializers.zeros
        return {name: Dense(SIZES[name], kernel_init=zeros, name=name)(x) for name in self.changes}


def plus(values: Float[Array, 'n *s'], change: Float[Array, 'n k']) -> Float[Array, 'n *s']:
    if values.ndim == 3:
        return values.at[:, 0].add(change)
    return values + change.reshape(values.shape)


class Motion(NamedTuple):
    """What becomes of Gaussians with time.

    init       the first parameters, by kind
    at         (params, n Gaussians, times [*b]) -> Gaussians [*b n], of a still scene [n]
    penalties  what is to be kept small, by name
    """

    init: Callable[[Key[Array, '']], dict[str, PyTree]]
    at: Callable[[dict[str, PyTree], Gaussians, Float[Array, '*b']], Gaussians]
    penalties: Callable[[dict[str, PyTree]], dict[str, Float[Array, '']]]


@dataclass(frozen=True)
class Nothing:
    """The fields of 'none'."""


def still(nothing: Nothing) -> Motion:
    """Of scenes that do not move."""
    return Motion(lambda key: {}, lambda params, gaussians, times: gaussians, lambda params: {})


def deforming(module: Deformation) -> Motion:
    """With parameters 'planes' and 'network'."""
    one = Gaussians(*(jnp.zeros(shape) for shape in ((1, 3), (1, 3), (1, 4), 1, (1, 1, 3))))

    def variables(params):
        return {'params': {kind: params[kind] for kind in ('planes', 'network')}}

    def at(params, gaussians, times):
        def then(time):
            return module.apply(variables(params), gaussians, time)

        return jax.vmap(then)(times) if times.ndim else then(times)

    return Motion(
        init=lambda key: module.init(key, one, jnp.float32(0))['params'],
        at=at,
        penalties=lambda params: module.apply(variables(params), method='penalties'),
    )


# The fields of each, and what it makes of them.
MOTIONS = {'none': (Nothing, still), 'planes': (Deformation, deforming)}
