"""Learning a policy in an MDP, by any method: one scan on the device.

    learner = start(mdp, agent, key, walkers=8)
    learner, episodes = learn(mdp, agent, learner, key, steps=10_000, limit=500)

Both vmap over keys, over the numbers of `agent`, and over MDPs.
"""

from functools import partial

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import choose
from jaxcv.rl.tabular import exact, monte_carlo, temporal
from jaxcv.rl.tabular.mdp import MDP
from jaxcv.rl.tabular.table import Agent, Table, behavior, blank
from jaxcv.rl.tabular.temporal import Episodes, Walkers

METHODS = (*temporal.METHODS, 'monte_carlo')
OFF_POLICY = ('q_learning', 'double_q_learning')


@struct.dataclass
class Learner:
    """A table, and the walkers that fill it."""

    table: Table
    walkers: Walkers


@partial(jax.jit, static_argnames='walkers')
def start(mdp: MDP, agent: Agent, key: Key[Array, ''], walkers: int = 1) -> Learner:
    """A blank table and walkers at the beginning of an episode."""
    choose(agent.name, METHODS, 'config.agent.name')
    table = blank(mdp, agent)
    return Learner(
        table, temporal.enter(mdp, behavior(agent, table), temporal.luck(key, walkers, 2))
    )


def step(
    mdp: MDP, agent: Agent, learner: Learner, key: Key[Array, ''], limit: int
) -> tuple[Learner, Episodes]:
    """A step of every walker; with Monte Carlo, a whole episode.

    limit: steps after which an episode is cut off; static for Monte Carlo.
    """
    table, walkers = learner.table, learner.walkers
    if agent.name == 'monte_carlo':
        table, episodes = monte_carlo.control(mdp, agent, table, len(walkers.state), key, limit)
    else:
        table, walkers, episodes = temporal.control(mdp, agent, table, walkers, key, limit)
    return Learner(table, walkers), episodes


@partial(jax.jit, static_argnames=('steps', 'limit'))
def learn(
    mdp: MDP, agent: Agent, learner: Learner, key: Key[Array, ''], steps: int, limit: int = 10_000
) -> tuple[Learner, Episodes]:
    """`steps` steps; the leaves of the episodes are [steps n]."""

    def tick(learner, key):
        return step(mdp, agent, learner, key, limit)

    return jax.lax.scan(tick, learner, jax.random.split(key, steps))


def fixed_point(mdp: MDP, agent: Agent) -> Float[Array, 's a']:
    """The action values that a method converges to under a suitable step size: those of the
    optimal policy, or of the best epsilon-soft one if it learns on-policy with constant epsilon."""
    explores = agent.name not in OFF_POLICY
    epsilon = jnp.where(jnp.asarray(agent.epsilon_power) > 0, 0.0, agent.epsilon)
    return exact.value_iteration(mdp, epsilon=epsilon if explores else 0.0).q
