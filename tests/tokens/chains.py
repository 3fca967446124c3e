"""Distributions of codes with known entropies, and the training of priors on them."""

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxcv.tokens.told import Told

ROW = np.array([0.7, 0.2, 0.07, 0.03])
CODES, CLASSES, LENGTH = len(ROW), 2, 16
# transition[label, from, to]: the next code tends to be this one, or with class 1 the one after.
TRANSITION = np.stack([[np.roll(ROW, i + label) for i in range(CODES)] for label in range(CLASSES)])
ROW_NATS = -(ROW * np.log(ROW)).sum()


def nats(length=LENGTH):
    """Per code, where the first is uniform and each other follows one."""
    return (np.log(CODES) + (length - 1) * ROW_NATS) / length


def follow(key, label, parent):
    """A code drawn after each of [b ...]."""
    logits = jnp.log(jnp.asarray(TRANSITION))[label.reshape(-1, *(1,) * (parent.ndim - 1)), parent]
    return jax.random.categorical(key, logits)


def chain(key, label, length=LENGTH):
    """Codes [b n] of a Markov chain."""
    first, *others = jax.random.split(key, length)
    codes = [jax.random.randint(first, label.shape, 0, CODES)]
    for other in others:
        codes.append(follow(other, label, codes[-1]))
    return jnp.stack(codes, axis=1)


def transitions(parents, children):
    """How often each code comes after each, a row of frequencies for each."""
    counts = np.zeros((CODES, CODES))
    np.add.at(counts, (np.ravel(parents), np.ravel(children)), 1)
    return counts / counts.sum(1, keepdims=True)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def train(loss, draw, variables, steps=300, batch=64, rate=3e-3, judged=1024):
    """Adam on fresh draws: (variables, the mean loss of `judged` others).

    loss: (variables, codes, told, keys) -> [b]; draw: (key, label) -> codes."""
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def mean(variables, key, batch):
        first, second, third = jax.random.split(key, 3)
        label = jax.random.randint(first, (batch,), 0, CLASSES)
        codes = draw(second, label)
        return loss(variables, codes, Told(label), jax.random.split(third, batch)).mean()

    def step(carry, key):
        variables, state = carry
        grads = jax.grad(mean)(variables, key, batch)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def run(variables):
        carry = variables, optimizer.init(variables)
        (variables, _), _ = jax.lax.scan(step, carry, keys(steps, 1))
        return variables, mean(variables, jax.random.key(2), judged)

    return run(variables)
