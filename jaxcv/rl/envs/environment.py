"""What an environment is: two pure functions, the spaces they speak in, and a picture.

    observation, state = env.reset(key, env.params)
    observation, state, reward, terminated, truncated = env.step(key, state, action, env.params)

`terminated` ends an episode in the world (its future is worth nothing), `truncated` ends it for
the agent only, by a time limit (its future is still worth the value of the last observation).
A finished environment is not reset here: see `jaxcv.rl.envs.vector`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree, UInt8

State = PyTree[Array]
Params = PyTree


@dataclass(frozen=True)
class Box:
    """Arrays of one shape; `low` and `high` bound every entry (infinite where it has no bound)."""

    shape: tuple[int, ...]
    low: float = -np.inf
    high: float = np.inf
    dtype: Any = np.float32


@dataclass(frozen=True)
class Discrete:
    """One of `n` choices, an int32 scalar."""

    n: int
    shape: tuple[int, ...] = ()
    dtype: Any = np.int32


@dataclass(frozen=True)
class MultiDiscrete:
    """Several choices at once: int32 [len(n)], the i-th below n[i]."""

    n: tuple[int, ...]
    dtype: Any = np.int32

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.n),)


Space = Box | Discrete | MultiDiscrete


class Step(NamedTuple):
    """What an action led to."""

    observation: Array
    state: State
    reward: Float[Array, '']
    terminated: Bool[Array, '']
    truncated: Bool[Array, '']


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment as pure functions: they jit, vmap and scan."""

    name: str
    observation: Space
    action: Space
    params: Params
    reset: Callable[[Key[Array, ''], Params], tuple[Array, State]]
    step: Callable[[Key[Array, ''], State, Array, Params], Step]
    # A picture of a state, [h w 3]; pure, or None where the environment has none.
    render: Callable[[State, Params], UInt8[Array, 'h w 3']] | None = None


def blank(space: Space) -> jax.ShapeDtypeStruct:
    """Shape and type of one element of a space."""
    return jax.ShapeDtypeStruct(space.shape, space.dtype)
