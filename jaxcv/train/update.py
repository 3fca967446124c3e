"""From a loss to a training step: the part that most experiments share.

    loss(params, aux, batch, keys) -> (scalar, aux, metrics)

`aux` is what the model carries beside parameters (batch statistics), `keys` holds one key per
sample. `update` adds gradient accumulation, mixed precision, frozen parameters, the mean over
devices, the optimizer and a debiased average of the parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.errors import choose
from jaxcv.ops import across
from jaxcv.train import paths

Params = PyTree[Array]
Aux = PyTree[Array]
Loss = Callable[
    [Params, Aux, PyTree[Array], Key[Array, 'b']],
    tuple[Float[Array, ''], Aux, dict[str, Float[Array, '']]],
]
PRECISIONS = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}


@struct.dataclass
class Average:
    """An exponential moving average from zero, with the weight it has gathered."""

    total: Params
    weight: Float[Array, '']

    @classmethod
    def start(cls, params: Params) -> 'Average':
        return cls(jax.tree.map(jnp.zeros_like, params), jnp.zeros(()))

    def add(self, params: Params, decay: float) -> 'Average':
        def mix(old, new):
            return decay * old + (1 - decay) * new

        return Average(jax.tree.map(mix, self.total, params), mix(self.weight, 1.0))

    @jax.jit
    def value(self) -> Params:
        """Debiased: total / (1 - decay^t), as in Adam (Kingma & Ba 2015, section 3)."""
        weight = jnp.maximum(self.weight, jnp.finfo(jnp.float32).tiny)
        return jax.tree.map(lambda total: total / weight, self.total)


@struct.dataclass
class TrainState:
    """What training a set of parameters carries from step to step."""

    params: Params
    aux: Aux
    opt: optax.OptState
    average: Average | None = None

    def eval_params(self) -> Params:
        """The parameters to judge: their average where one is kept."""
        return self.params if self.average is None else self.average.value()


class Update(NamedTuple):
    """`init(params, aux) -> TrainState`, `step(state, batch, key) -> (TrainState, metrics)`."""

    init: Callable[..., TrainState]
    step: Callable[..., tuple[TrainState, dict[str, Array]]]


def update(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    precision: str = 'float32',
    ema: float = 0.0,
    frozen: tuple[str, ...] = (),
) -> Update:
    """The training step of `loss`.

    accumulate: microbatches whose gradients are averaged; the batch must divide.
    precision: 'bfloat16' computes the loss on bfloat16 copies of parameters and inputs; the
      parameters, their gradients' mean and the optimizer stay float32.
    ema: decay of the average of the parameters, 0 for none.
    frozen: path patterns of parameters that get no gradient and no optimizer state.
    """
    choose(precision, PRECISIONS, 'precision')
    compute = PRECISIONS[precision]

    def init(params: Params, aux: Aux = None) -> TrainState:
        paths.require(frozen, params, 'config.train.frozen')
        trainable, _ = _partition(params, frozen)
        average = Average.start(params) if ema else None
        return TrainState(params, {} if aux is None else aux, optimizer.init(trainable), average)

    def value(trainable, fixed, aux, batch, keys):
        params = cast(_merge(trainable, fixed), compute)
        scalar, aux, metrics = loss(params, aux, cast(batch, compute), keys)
        return scalar.astype(jnp.float32), (cast(aux, jnp.float32), metrics)

    gradient = jax.value_and_grad(value, has_aux=True)

    def step(state: TrainState, batch, key):
        trainable, fixed = _partition(state.params, frozen)
        keys = across.keys(key, jax.tree.leaves(batch)[0].shape[0])

        def micro(aux, samples):
            (scalar, (aux, metrics)), grads = gradient(trainable, fixed, aux, *samples)
            return aux, ({**metrics, 'loss': scalar}, grads)

        if accumulate == 1:
            aux, (metrics, grads) = micro(state.aux, (batch, keys))
        else:
            parts = jax.tree.map(lambda x: parts_of(x, accumulate), (batch, keys))
            aux, (metrics, grads) = _scan_mean(micro, state.aux, parts, accumulate)

        (grads, metrics), aux = across.mean((grads, metrics)), across.agreed(aux)
        updates, opt = optimizer.update(grads, state.opt, trainable)
        params = _merge(optax.apply_updates(trainable, updates), fixed)
        average = state.average.add(params, ema) if ema else None
        metrics = {**metrics, 'grad_norm': optax.tree.norm(grads)}
        return TrainState(params, aux, opt, average), metrics

    return Update(init, step)


def parts_of(x: Float[Array, 'b *s'], count: int) -> Float[Array, 'count b/count *s']:
    """[b ...] -> [count, b / count, ...], every count-th sample to a part: then the part of a
    batch split over devices is the same set of samples for any number of devices."""
    return x.reshape(x.shape[0] // count, count, *x.shape[1:]).swapaxes(0, 1)


def _scan_mean(micro, aux, parts, count):
    """Runs `micro` over the parts in turn; the mean of its outputs, in the memory of one."""
    first = jax.tree.map(lambda x: x[0], parts)
    total = jax.tree.map(
        lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(micro, aux, first)[1]
    )

    def body(carry, part):
        aux, total = carry
        aux, value = micro(aux, part)
        return (aux, jax.tree.map(jnp.add, total, value)), None

    (aux, total), _ = jax.lax.scan(body, (aux, total), parts)
    return aux, jax.tree.map(lambda x: x / count, total)


def _partition(params, frozen):
    """(trainable, fixed): two trees of the same shape, with None where the other has the leaf."""
    if not frozen:
        return params, None
    mask = paths.mask(frozen, params)
    trainable = jax.tree.map(lambda leaf, fixed: None if fixed else leaf, params, mask)
    return trainable, jax.tree.map(lambda leaf, fixed: leaf if fixed else None, params, mask)


def _merge(trainable, fixed):
    if fixed is None:
        return trainable
    return jax.tree.map(
        lambda a, b: b if a is None else a, trainable, fixed, is_leaf=lambda x: x is None
    )


def cast(tree: PyTree[Array], dtype) -> PyTree[Array]:
    """The floating-point leaves in another precision."""

    def convert(x):
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(convert, tree)
