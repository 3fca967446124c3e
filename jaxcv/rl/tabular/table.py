"""What a tabular agent knows, how it acts on it, and how a target changes it."""

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.ops import across
from jaxcv.rl.tabular import exact
from jaxcv.rl.tabular.mdp import MDP, pick


@struct.dataclass
class Agent:
    """A method and its numbers, which are arrays in the state of a run: agents that differ in
    them share a program.

    The n-th update of an entry has step size step_size n^-step_power (2.7 asks for a power above
    1/2 and at most 1; 0 is constant). After n visits to a state, epsilon there is
    epsilon (n + 1)^-epsilon_power: with power 1 every action is still tried for ever, yet the
    policy becomes greedy (Singh et al. 2000).
    """

    name: str = struct.field(pytree_node=False, default='q_learning')
    step_size: Float[Array, ''] | float = 0.5
    step_power: Float[Array, ''] | float = 0.0
    epsilon: Float[Array, ''] | float = 0.1
    epsilon_power: Float[Array, ''] | float = 0.0
    initial: Float[Array, ''] | float = 0.0  # of every action: optimism explores (section 2.6)


@struct.dataclass
class Table:
    """Values of actions, and how often each was updated. Double Q-learning has m = 2 of them, the
    others one."""

    values: Float[Array, 'm s a']
    visits: Float[Array, 'm s a']

    @property
    def q(self) -> Float[Array, 's a']:
        return self.values.mean(-3)


def blank(mdp: MDP, agent: Agent) -> Table:
    """A table that knows nothing; terminal states are worth 0."""
    tables = 2 if agent.name == 'double_q_learning' else 1
    values = jnp.where(
        mdp.terminal[:, None], 0.0, jnp.full((mdp.states, mdp.actions), agent.initial)
    )
    values = jnp.broadcast_to(values, (tables, *values.shape)).astype(mdp.transition.dtype)
    return Table(values, jnp.zeros_like(values))


def behavior(agent: Agent, table: Table) -> Float[Array, 's a']:
    """The epsilon-greedy policy of a table; ties share."""
    visits = table.visits.sum((-3, -1))
    return exact.soft(table.q, agent.epsilon * (visits + 1) ** -agent.epsilon_power, tie=0.0)


def choose(
    policy: Float[Array, 's a'], levels: Float[Array, 'n'], states: Int[Array, 'n']
) -> Int[Array, 'n']:
    """An action of the policy for each state, by its uniform number."""
    return jax.vmap(pick)(levels, policy[states])


def toward(
    agent: Agent,
    table: Table,
    index: tuple[Int[Array, '*n'], ...],
    targets: Float[Array, '*n'],
    valid: Bool[Array, '*n'] | bool = True,
) -> Table:
    """Moves entries toward targets (2.5): Q <- Q + step_size (target - Q).

    index: (table, state, action) of each target. Targets of all walkers, on all devices, for the
    same entry are one update, toward their mean.
    """
    zeros = jnp.zeros_like(table.values)
    hits = across.sum(zeros.at[index].add(jnp.broadcast_to(valid, targets.shape)))
    total = across.sum(zeros.at[index].add(jnp.where(valid, targets, 0.0)))
    visits = table.visits + (hits > 0)
    rate = agent.step_size * jnp.maximum(visits, 1) ** -agent.step_power
    error = total / jnp.maximum(hits, 1) - table.values
    return Table(table.values + jnp.where(hits > 0, rate * error, 0.0), visits)
