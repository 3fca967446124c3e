"""Proximal policy optimization (Schulman et al. 2017), with the details that make it work.

One update: advantages of a segment of experience, then several epochs of minibatches that
maximize the clipped surrogate of the policy's improvement.
"""

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.ops import across
from jaxcv.rl.advantages import explained_variance, standardize
from jaxcv.rl.learner import Learner, descend, fixed
from jaxcv.rl.learner import start as start
from jaxcv.rl.lessons import Lesson, groups, lessons, shuffled
from jaxcv.rl.lessons import check as check
from jaxcv.rl.rollout import Trajectory


@struct.dataclass
class PPO:
    """The clip, the weights and the traces are those of the paper."""

    steps: int = fixed(128)  # per environment and update
    epochs: int = fixed(4)  # passes over the segment
    minibatches: int = fixed(4)  # per epoch
    normalize: bool = fixed(True)  # advantages, within each minibatch
    discount: float = 0.99  # gamma
    trace: float = 0.95  # lambda of the advantages
    clip: float = 0.2  # how far the ratio may move before its gradient is cut
    value_clip: float = 0.2  # the same for the value; 0: free
    value_weight: float = 0.5
    entropy: float = 0.01  # weight of the entropy bonus


def learn(
    agent: PPO,
    optimizer: optax.GradientTransformation,
    network,
    learner: Learner,
    segment: Trajectory,
    carry: PyTree[Array],
    key: Key[Array, ''],
) -> tuple[Learner, dict[str, Float[Array, '']]]:
    """All epochs on one segment, which began with `carry`.

    network: (params, observation [t n ...], start [t n], carry) -> (policy, value [t n], carry).
    """
    lesson = lessons(agent, segment)
    recurrent = bool(jax.tree.leaves(carry))
    t, n = segment.reward.shape
    check(agent, n, recurrent)
    table = groups(n, t, agent.minibatches, recurrent)
    keys = jax.random.split(key, agent.epochs)
    rows = jax.vmap(lambda key: shuffled(key, table, agent.minibatches))(keys)
    flat = jax.tree.map(lambda x: x.reshape(t * n, *x.shape[2:]), lesson)

    def minibatch(learner, rows):
        if recurrent:
            part = (
                jax.tree.map(lambda x: x[:, rows], lesson),
                jax.tree.map(lambda x: x[rows], carry),
            )
        else:
            part = jax.tree.map(lambda x: x[rows][None], flat), carry
        grads, metrics = jax.grad(loss, has_aux=True)(learner.params, agent, network, *part)
        learner, norm = descend(optimizer, learner, grads)
        return learner, {**metrics, 'grad_norm': norm}

    learner, metrics = jax.lax.scan(minibatch, learner, rows.reshape(-1, *rows.shape[2:]))
    last = jax.tree.map(lambda x: x[-agent.minibatches :].mean(), metrics)
    fit = explained_variance(segment.value, lesson.target)
    return learner, across.mean({**last, 'explained_variance': fit})


def loss(
    params: PyTree[Array], agent: PPO, network, lesson: Lesson, carry: PyTree[Array]
) -> tuple[Float[Array, ''], dict[str, Float[Array, '']]]:
    """-surrogate + value_weight * value loss - entropy bonus (eq. 9)."""
    policy, value, _ = network(params, lesson.observation, lesson.start, carry)
    log_ratio = policy.log_prob(lesson.action) - lesson.log_prob
    ratio = jnp.exp(log_ratio)
    advantage = standardize(lesson.advantage) if agent.normalize else lesson.advantage
    clipped = jnp.clip(ratio, 1 - agent.clip, 1 + agent.clip)
    surrogate = jnp.minimum(ratio * advantage, clipped * advantage).mean()  # eq. 7

    near = lesson.value + jnp.clip(value - lesson.value, -agent.value_clip, agent.value_clip)
    error, clipped_error = jnp.square(value - lesson.target), jnp.square(near - lesson.target)
    pessimistic = jnp.maximum(error, clipped_error)
    value_loss = 0.5 * jnp.where(agent.value_clip > 0, pessimistic, error).mean()

    entropy = policy.entropy().mean()
    total = -surrogate + agent.value_weight * value_loss - agent.entropy * entropy
    return total, {
        'loss': total,
        'policy_loss': -surrogate,
        'value_loss': value_loss,
        'entropy': entropy,
        'kl': (ratio - 1 - log_ratio).mean(),  # the low-variance estimate of KL(old || new)
        'clip_fraction': (jnp.abs(ratio - 1) > agent.clip).mean(),
    }


def updates(agent: PPO) -> int:
    """Steps of the optimizer in one update."""
    return agent.epochs * agent.minibatches
