"""REINFORCE with a learned baseline (Williams 1992, eq. 11), or the vanilla policy gradient.

    grad J = E[ sum_t grad log pi(a_t | s_t) (R_t - V(s_t)) ]

R_t is the whole return that followed: it does not lean on the critic, so that its mean is right
whatever the baseline V is, and its variance is large. Where an episode was cut off, by a time limit
or the end of the segment, the critic stands for the rest.
"""

import optax
from flax import struct
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.rl.learner import Learner, fixed
from jaxcv.rl.learner import start as start
from jaxcv.rl.lessons import lessons
from jaxcv.rl.policy_gradient import climb
from jaxcv.rl.rollout import Trajectory


@struct.dataclass
class Reinforce:
    """Long segments, so that few returns are cut off."""

    steps: int = fixed(128)  # per environment and update
    baseline: bool = fixed(True)  # False: the returns themselves weigh the gradient
    normalize: bool = fixed(True)  # what weighs the gradient, over the segment
    discount: float = 0.99  # gamma
    value_weight: float = 0.5
    entropy: float = 0.0  # weight of the entropy bonus

    trace = 1.0  # of the advantages: no field, since another value is another algorithm


def check(agent: Reinforce, count: int, recurrent: bool) -> None:
    """Every layout fits: a segment is one batch."""


def updates(agent: Reinforce) -> int:
    """Steps of the optimizer in one update."""
    return 1


def learn(
    agent: Reinforce,
    optimizer: optax.GradientTransformation,
    network,
    learner: Learner,
    segment: Trajectory,
    carry: PyTree[Array],
    key: Key[Array, ''],
) -> tuple[Learner, dict[str, Float[Array, '']]]:
    """One step on one segment, which began with `carry`."""
    lesson = lessons(agent, segment)
    if not agent.baseline:
        lesson = lesson._replace(advantage=lesson.target)
    return climb(agent, optimizer, network, learner, lesson, carry)
