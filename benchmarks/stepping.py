"""A training step as a call, the batch over some devices."""

from collections.abc import Callable

import jax

from jaxcv.ops import across
from jaxcv.train.update import TrainState, Update


def stepping(made: Update, state: TrainState, batch, devices: int) -> Callable[[], dict]:
    """One step a call, always with the same batch; its metrics."""
    mapped = jax.pmap(
        made.step,
        across.DATA,
        in_axes=(None, 0, None),
        out_axes=None,
        donate_argnums=0,
        devices=jax.devices()[:devices],
    )
    shards = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    held = [state, jax.random.key(1)]

    def step():
        held[0], metrics = mapped(held[0], shards, held[1])
        return metrics

    return step
