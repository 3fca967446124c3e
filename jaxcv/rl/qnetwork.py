"""The value of every action, from one look at an observation."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import linen
from jaxtyping import Array, Float

from jaxcv.rl.networks import dense, encoder


class QNetwork(linen.Module):
    """An encoder, and values of `actions` actions.

    dueling: a stream for the state's value and one for the actions' advantages,
      Q(s, a) = V(s) + A(s, a) - mean_a' A(s, a') (Wang et al. 2016, eq. 9);
      each has hidden layers of its own, of the widths `streams`.
    """

    actions: int
    encoder: Mapping[str, Any]
    dueling: bool = False
    streams: Sequence[int] = ()

    @linen.compact
    def __call__(self, x: Array) -> Float[Array, 'b a']:
        x = encoder(**self.encoder)(x)
        if not self.dueling:
            return dense(self.actions, 1.0, 'head')(x)
        value, advantage = self._stream(x, 1, 'value'), self._stream(x, self.actions, 'advantage')
        return value + advantage - advantage.mean(-1, keepdims=True)

    def _stream(self, x, outputs, name):
        for i, width in enumerate(self.streams):
            x = jax.nn.relu(dense(width, 2**0.5, f'{name}_{i}')(x))
        return dense(outputs, 1.0, name)(x)
