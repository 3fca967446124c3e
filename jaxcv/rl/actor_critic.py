"""Advantage actor-critic (Mnih et al. 2016, synchronous): the critic says what was better.

The policy gradient with advantages that look some steps ahead and then trust the critic.
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
class ActorCritic:
    """trace 1 gives the n-step advantages of the paper, with n = the steps left in the segment;
    trace 0 the one-step error."""

    steps: int = fixed(8)  # per environment and update
    normalize: bool = fixed(False)  # advantages, over the segment
    discount: float = 0.99  # gamma
    trace: float = 0.95  # lambda of the advantages
    value_weight: float = 0.5
    entropy: float = 0.01  # weight of the entropy bonus


def check(agent: ActorCritic, count: int, recurrent: bool) -> None:
    """Every layout fits: a segment is one batch."""


def updates(agent: ActorCritic) -> int:
    """Steps of the optimizer in one update."""
    return 1


def learn(
    agent: ActorCritic,
    optimizer: optax.GradientTransformation,
    network,
    learner: Learner,
    segment: Trajectory,
    carry: PyTree[Array],
    key: Key[Array, ''],
) -> tuple[Learner, dict[str, Float[Array, '']]]:
    """One step on one segment, which began with `carry`."""
    return climb(agent, optimizer, network, learner, lessons(agent, segment), carry)
