"""The policy gradient: one step uphill per segment of experience, then the segment is gone.

The policy gradient theorem (Sutton et al. 2000, theorem 1): with any estimate A of how much better
an action was than average,

    grad J ∝ E[ grad log pi(a | s) A(s, a) ],

over the states that the policy meets. `reinforce` and `actor_critic` differ in A.
"""

import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.ops import across
from jaxcv.rl.advantages import explained_variance, standardize
from jaxcv.rl.learner import Learner, descend
from jaxcv.rl.lessons import Lesson


def climb(
    agent,
    optimizer: optax.GradientTransformation,
    network,
    learner: Learner,
    lesson: Lesson,
    carry: PyTree[Array],
) -> tuple[Learner, dict[str, Float[Array, '']]]:
    """One step of the optimizer on a whole segment, which began with `carry`.

    agent: any record with `normalize`, `value_weight` and `entropy`.
    network: (params, observation [t n ...], start [t n], carry) -> (policy, value [t n], carry).
    """
    grads, (metrics, old) = jax.grad(loss, has_aux=True)(
        learner.params, agent, network, lesson, carry
    )
    learner, norm = descend(optimizer, learner, grads)
    new, _, _ = network(learner.params, lesson.observation, lesson.start, carry)
    metrics |= {
        'grad_norm': norm,
        'kl': old.kl(new).mean(),
        'explained_variance': explained_variance(lesson.value, lesson.target),
    }
    return learner, across.mean(metrics)


def loss(
    params: PyTree[Array], agent, network, lesson: Lesson, carry: PyTree[Array]
) -> tuple[Float[Array, ''], tuple[dict[str, Float[Array, '']], PyTree]]:
    """-E[log pi A] + value_weight * value loss - entropy bonus; with its parts and the policy."""
    policy, value, _ = network(params, lesson.observation, lesson.start, carry)
    advantage = standardize(lesson.advantage) if agent.normalize else lesson.advantage
    policy_loss = -(policy.log_prob(lesson.action) * advantage).mean()
    value_loss = 0.5 * jnp.square(value - lesson.target).mean()
    entropy = policy.entropy().mean()
    total = policy_loss + agent.value_weight * value_loss - agent.entropy * entropy
    parts = {
        'loss': total,
        'policy_loss': policy_loss,
        'value_loss': value_loss,
        'entropy': entropy,
    }
    return total, (parts, policy)
