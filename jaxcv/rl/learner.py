"""What an agent that learns by gradients carries, and one step of its optimizer."""

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.ops import across


def fixed(default):
    """A field of an agent that shapes its program. The other fields are arrays of the state, so
    that agents that differ in them can share a program."""
    return struct.field(pytree_node=False, default=default)


@struct.dataclass
class Learner:
    """Parameters, the optimizer's state, and the peak learning rate."""

    params: PyTree[Array]
    opt: optax.OptState
    rate: Float[Array, '']


def descend(
    optimizer: optax.GradientTransformation, learner: Learner, grads: PyTree[Array]
) -> tuple[Learner, Float[Array, '']]:
    """One step along the mean gradient of all devices; with the norm of that gradient.

    `optimizer` has rate 1 (and its schedule): `learner.rate` multiplies what it gives.
    """
    grads = across.mean(grads)
    updates, opt = optimizer.update(grads, learner.opt, learner.params)
    updates = jax.tree.map(lambda u: learner.rate * u, updates)
    params = optax.apply_updates(learner.params, updates)
    return Learner(params, opt, learner.rate), optax.tree.norm(grads)


def start(optimizer: optax.GradientTransformation, params: PyTree[Array], rate: float) -> Learner:
    """A learner of all of `params`."""
    return Learner(params, optimizer.init(params), jnp.float32(rate))
