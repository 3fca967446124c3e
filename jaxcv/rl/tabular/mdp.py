"""Markov decision processes as arrays, and steps through them.

A terminal state is absorbing with reward 0, so sums over all time need no special case.
"""

import jax
import numpy as np
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.errors import UserError


@struct.dataclass
class MDP:
    """Dynamics p(s'|s, a) and rewards r(s, a, s') (3.4, 3.6). Rewards may depend on where an
    action leads, since in grid worlds they do."""

    transition: Float[Array, 's a s']
    reward: Float[Array, 's a s']
    discount: Float[Array, '']
    terminal: Bool[Array, 's']
    start: Float[Array, 's']  # distribution of the first state

    @property
    def states(self) -> int:
        return self.transition.shape[-3]

    @property
    def actions(self) -> int:
        return self.transition.shape[-2]

    def expected_reward(self) -> Float[Array, 's a']:
        """r(s, a) = sum_s' p(s'|s, a) r(s, a, s') (3.5)."""
        return (self.transition * self.reward).sum(-1)


def make(transition, reward, discount: float, terminal=(), start=None) -> MDP:
    """A checked MDP from array-likes, on the host.

    transition: [s a s], each row a distribution.
    reward: [s a s], or [s a] where it does not depend on the next state.
    terminal: indices of states; their rows become absorbing with reward 0.
    start: [s], by default uniform over the other states.
    """
    transition, reward = np.array(transition, float), np.array(reward, float)
    if transition.ndim != 3 or transition.shape[0] != transition.shape[2]:
        raise UserError(f'transition has shape {transition.shape}, but must be [s, a, s]')
    states, actions, _ = transition.shape
    if reward.shape not in ((states, actions), transition.shape):
        raise UserError(
            f'reward has shape {reward.shape}, but must be {transition.shape} or'
            f' {(states, actions)}, as transition has it'
        )
    terminal = np.asarray(terminal, int).reshape(-1)
    if terminal.size and not (terminal.min() >= 0 and terminal.max() < states):
        raise UserError(f'terminal is {terminal.tolist()}, but there are states 0 to {states - 1}')
    reward = np.broadcast_to(reward[..., None] if reward.ndim == 2 else reward, transition.shape)
    ends = np.isin(np.arange(states), terminal)
    transition = np.where(ends[:, None, None], np.eye(states)[:, None], transition)
    reward = np.where(ends[:, None, None], 0.0, reward)
    if start is None:
        start = ~ends / max((~ends).sum(), 1)
    start = np.array(start, float)
    _check(transition, reward, float(discount), ends, start)
    floats = (jnp.asarray(x, float) for x in (transition, reward, discount))
    return MDP(*floats, jnp.asarray(ends), jnp.asarray(start, float))


def _check(transition, reward, discount, ends, start):
    states = len(ends)
    if start.shape != (states,):
        raise UserError(f'start has shape {start.shape}, but must be ({states},), one per state')
    for name, rows in (('transition', transition), ('start', start)):
        if not np.isfinite(rows).all() or rows.min() < 0:
            where = np.argwhere(~(rows >= 0) | ~np.isfinite(rows))[0].tolist()
            raise UserError(
                f'{name} at {where} is {rows[tuple(where)]}, but probabilities are 0 or more'
            )
        sums = rows.sum(-1)
        if not np.allclose(sums, 1, atol=1e-5):
            row = np.unravel_index(np.abs(sums - 1).argmax(), sums.shape)
            where = f' at {[int(i) for i in row]}' if row else ''
            raise UserError(f'{name}{where} sums to {sums[row]:.6g}, but must sum to 1')
    if not np.isfinite(reward).all():
        where = np.argwhere(~np.isfinite(reward))[0].tolist()
        raise UserError(f'reward at {where} is {reward[tuple(where)]}, but must be finite')
    if not 0 <= discount <= 1:
        raise UserError(f'discount is {discount}, but must be from 0 to 1')
    if discount == 1 and not (reach := _reaches(transition, ends)).all():
        raise UserError(
            f'discount is 1 and no terminal state can be reached from state {reach.argmin()}, so'
            ' returns may be infinite: give a terminal state, or a discount below 1'
        )


def _reaches(transition, ends):
    """[s] whether some sequence of actions leads to a terminal state."""
    edges, reach = (transition > 0).any(1), ends
    for _ in ends:
        reach = reach | (edges & reach).any(1)
    return reach


def garnet(
    key: Key[Array, ''],
    states: int,
    actions: int,
    branching: int,
    discount: float = 0.9,
    terminals: int = 0,
) -> MDP:
    """A random MDP (Archibald, McKinnon and Thomas, 1995): every action leads to `branching`
    random states, with probabilities that uniform cuts of the unit interval give; rewards r(s, a)
    are normal. The first `terminals` states end an episode."""
    place_key, cut_key, reward_key = jax.random.split(key, 3)
    rank = jnp.argsort(jnp.argsort(jax.random.uniform(place_key, (states, actions, states))))
    # Exponentials over their sum are the gaps between uniform cuts.
    gaps = jnp.where(rank < branching, jax.random.exponential(cut_key, rank.shape), 0.0)
    ends = jnp.arange(states) < terminals
    absorb = ends[:, None, None]
    transition = jnp.where(absorb, jnp.eye(states)[:, None], gaps / gaps.sum(-1, keepdims=True))
    reward = jax.random.normal(reward_key, (states, actions, 1))
    return MDP(
        transition=transition,
        reward=jnp.where(absorb, 0.0, jnp.broadcast_to(reward, transition.shape)),
        discount=jnp.asarray(discount, float),
        terminal=ends,
        start=~ends / (states - terminals),
    )


def pick(level: Float[Array, ''], probabilities: Float[Array, 'k']) -> Int[Array, '']:
    """One of k choices, by inversion of their cumulative distribution at `level`, uniform in
    [0, 1). They need not sum to one; a choice of probability 0 is never picked."""
    cumulative = jnp.cumsum(probabilities)
    return (cumulative <= level * cumulative[-1]).sum().astype(jnp.int32)


def arrive(
    mdp: MDP, level: Float[Array, ''], state: Int[Array, ''], action: Int[Array, '']
) -> tuple[Int[Array, ''], Float[Array, ''], Bool[Array, '']]:
    """(next state, reward, terminated) of an action; `level` is the luck."""
    after = pick(level, mdp.transition[state, action])
    return after, mdp.reward[state, action, after], mdp.terminal[after]


def begin(mdp: MDP, key: Key[Array, '']) -> Int[Array, '']:
    """The first state of an episode."""
    return pick(jax.random.uniform(key, dtype=mdp.start.dtype), mdp.start)


def step(
    mdp: MDP, key: Key[Array, ''], state: Int[Array, ''], action: Int[Array, '']
) -> tuple[Int[Array, ''], Float[Array, ''], Bool[Array, '']]:
    """(next state, reward, terminated) of an action."""
    return arrive(mdp, jax.random.uniform(key, dtype=mdp.start.dtype), state, action)
