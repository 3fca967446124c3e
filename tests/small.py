"""A small experiment with everything that a layout could get wrong: batch statistics, dropout,
a parameter average, and a leaf that differs between devices."""

import jax
import ml_collections
import numpy as np
import optax
from flax import linen
from jax import numpy as jnp

from jaxcv import nn
from jaxcv.data.batches import Held
from jaxcv.ops import across
from jaxcv.train import Experiment, update


class Net(linen.Module):
    @linen.compact
    def __call__(self, x, train, keys=None):
        x = nn.Conv(8, (3, 3), use_bias=False)(x)  # BatchNorm would cancel a bias
        x = nn.BatchNorm()(x, train)
        x = nn.Activation('relu')(x)
        x = x.mean((1, 2))
        x = linen.Dense(64)(x)
        x = nn.Dropout(0.2)(jax.nn.relu(x), keys)
        return linen.Dense(3)(x)


def experiment(batch_size=16, split=True, **options) -> Experiment:
    """Classifies 64 random 6x6 images; a 'walker' per device counts its steps."""
    rng = np.random.default_rng(0)
    data = {
        'image': rng.normal(size=(64, 6, 6, 2)).astype(np.float32),
        'label': rng.integers(0, 3, 64).astype(np.int32),
    }

    def sample(arrays, key, step, slots):
        index = jax.random.randint(jax.random.fold_in(key, step), (batch_size,), 0, 64)[slots]
        return jax.tree.map(lambda x: x[index], arrays)

    def loss(params, aux, batch, keys):
        variables = {'params': params, **aux}
        logits, aux = Net().apply(variables, batch['image'], True, keys, mutable=['batch_stats'])
        value = optax.softmax_cross_entropy_with_integer_labels(logits, batch['label']).mean()
        return value, aux, {'accuracy': (logits.argmax(-1) == batch['label']).mean()}

    training = update(loss, optax.adam(1e-2), **options)

    def init(key):
        variables = Net().init(key, jnp.zeros((1, 6, 6, 2)), True)
        state = training.init(variables['params'], {'batch_stats': variables['batch_stats']})
        return {'model': state, **({'walkers': jnp.zeros((8, 3))} if split else {})}

    def step(state, batch, key):
        model, metrics = training.step(state['model'], batch, key)
        if not split:
            return {'model': model}, metrics
        n = state['walkers'].shape[0]
        walkers = state['walkers'] + across.slots(n)[:, None]
        return {'model': model, 'walkers': walkers}, metrics | {'walk': walkers.mean()}

    def evaluate(state, key):
        variables = {'params': state['model'].eval_params(), **state['model'].aux}
        logits = jax.jit(Net().apply, static_argnums=2)(variables, data['image'], False)
        return {'accuracy': (logits.argmax(-1) == data['label']).mean()}

    return Experiment(
        init=init,
        step=step,
        batches=Held(data, sample, batch_size),
        split=('walkers',) if split else (),
        evaluate=evaluate,
    )


def config(**train):
    """A config for it: 40 steps, looked at often."""
    section = {'steps': 40, 'batch_size': 16, 'log_every': 5, 'eval_every': 10}
    section |= {'checkpoint_every': 10, **train}
    return ml_collections.ConfigDict({'experiment': 'small', 'train': section})
