"""Networks of agents: encoders of observations, actors and critics, memory.

An encoder maps observations [b ...] to features [b d]. `ActorCritic` works on sequences, time
first, so that one call serves acting (t = 1), learning, and recurrent policies:

    policy, value, carry = network.apply(variables, observation [t n ...], start [t n], carry)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from jaxcv.errors import choose
from jaxcv.nn import Conv, Dense
from jaxcv.rl import distributions
from jaxcv.rl.envs.environment import Box, Space

ACTIVATIONS = {'tanh': jnp.tanh, 'relu': jax.nn.relu, 'silu': jax.nn.silu}


def dense(features: int, scale: float, name: str | None = None) -> Dense:
    """A layer with the orthogonal initialization that policy gradients want, bias 0."""
    return Dense(features, kernel_init=linen.initializers.orthogonal(scale), name=name)


class MLP(linen.Module):
    """Flattened observations through hidden layers."""

    widths: Sequence[int] = (64, 64)
    activation: str = 'tanh'

    @linen.compact
    def __call__(self, x: Float[Array, 'b ...']) -> Float[Array, 'b d']:
        act = ACTIVATIONS[choose(self.activation, ACTIVATIONS, 'config.model.activation')]
        x = x.astype(jnp.float32).reshape(x.shape[0], -1)
        for width in self.widths:
            x = act(dense(width, 2**0.5)(x))
        return x


class CNN(linen.Module):
    """Convolutions (features, size, stride), then hidden layers. Of uint8 images, /255."""

    layers: Sequence[tuple[int, int, int]] = ((16, 3, 1),)
    widths: Sequence[int] = (128,)
    padding: str = 'VALID'

    @linen.compact
    def __call__(self, x: Array) -> Float[Array, 'b d']:
        x = x.astype(jnp.float32) / (255.0 if x.dtype == jnp.uint8 else 1.0)
        for features, size, stride in self.layers:
            x = Conv(
                features,
                (size, size),
                stride,
                self.padding,
                kernel_init=linen.initializers.orthogonal(2**0.5),
            )(x)
            x = jax.nn.relu(x)
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = jax.nn.relu(dense(width, 2**0.5)(x))
        return x


# Mnih et al. 2015: for 84x84 images.
nature = {'layers': ((32, 8, 4), (64, 4, 2), (64, 3, 1)), 'widths': (512,)}
ENCODERS: dict[str, Callable[..., linen.Module]] = {
    'mlp': MLP,
    'cnn': CNN,
    'nature': lambda **fields: CNN(**nature | fields),
}


def encoder(name: str, **fields) -> linen.Module:
    """An encoder by name; `fields` are those of its module."""
    return ENCODERS[choose(name, ENCODERS, 'config.model.name')](**fields)


CELLS = {'gru': linen.GRUCell, 'lstm': linen.OptimizedLSTMCell}


class Stream(linen.Module):
    """Encoder, recurrent layer if `memory` is 'gru' or 'lstm', and a last layer if `outputs`.

    `encoder` is a name and fields, as `encoder(...)` takes them, or None: the input is features.
    """

    encoder: Mapping[str, Any] | None = None
    memory: str = ''
    width: int = 64  # of the recurrent layer
    outputs: int = 0
    scale: float = 1.0  # of the last layer's initial weights

    @linen.compact
    def __call__(
        self, x: Array, start: Bool[Array, 't n'], carry: PyTree
    ) -> tuple[Float[Array, 't n d'], PyTree]:
        """Outputs, and the carry after the last step; `start` marks the first step of an episode,
        before which the carry is forgotten."""
        if self.encoder is not None:
            rows = encoder(**self.encoder)(x.reshape(-1, *x.shape[2:]))
            x = rows.reshape(*start.shape, -1)
        if self.memory:
            cell = CELLS[choose(self.memory, CELLS, 'config.model.memory')](self.width)
            over_time = linen.scan(_tick, variable_broadcast='params', split_rngs={'params': False})
            carry, x = over_time(cell, carry, (x, start))
        if self.outputs:
            x = dense(self.outputs, self.scale)(x)
        return x, carry


def _tick(cell, carry, now):
    x, start = now
    return cell(jax.tree.map(lambda c: jnp.where(start[:, None], 0.0, c), carry), x)


class ActorCritic(linen.Module):
    """A policy and a value of observations, each with a stream of its own unless `shared`.

    What belongs to the value alone lies under 'critic' of the parameters.
    """

    action: Space
    encoder: Mapping[str, Any]
    shared: bool = False
    memory: str = ''
    width: int = 64
    squash: bool = False  # continuous actions: TanhNormal rather than Normal
    log_std: float = 0.0  # continuous actions: the initial one

    @linen.compact
    def __call__(
        self, x: Float[Array, 't n ...'], start: Bool[Array, 't n'], carry: PyTree
    ) -> tuple[distributions.Distribution, Float[Array, 't n'], PyTree]:
        """The policy and the value at each step, and the carry after the last."""
        fields = {'encoder': self.encoder, 'memory': self.memory, 'width': self.width}
        outputs = distributions.outputs(self.action)
        if self.shared:
            x, carry = Stream(**fields, name='shared')(x, start, carry)
            fields = {}
        else:
            own, others = carry
        # A small last layer makes the first policy nearly uniform.
        actor = Stream(**fields, outputs=outputs, scale=0.01, name='actor')
        critic = Stream(**fields, outputs=1, name='critic')
        if self.shared:
            (logits, _), (value, _) = actor(x, start, ()), critic(x, start, ())
        else:
            logits, own = actor(x, start, own)
            value, others = critic(x, start, others)
            carry = own, others
        log_std = None
        if isinstance(self.action, Box):
            log_std = self.param('log_std', linen.initializers.constant(self.log_std), (outputs,))
        policy = distributions.policy(self.action, logits, log_std, self.squash)
        return policy, value[..., 0], carry

    def blank(self, n: int) -> PyTree:
        """The carry of n environments of which nothing was seen yet."""
        zeros = jnp.zeros((n, self.width))
        one = {'': (), 'gru': zeros, 'lstm': (zeros, zeros)}[self.memory]
        return one if self.shared else (one, jax.tree.map(jnp.copy, one))
