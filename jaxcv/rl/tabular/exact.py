"""Dynamic programming: values and policies of a known MDP.

Every loop runs on the device until the largest change of a value is at most `tolerance`, or
`limit` iterations are done. k sweeps from zero give the value of k steps.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.rl.tabular.mdp import MDP

TIE = 1e-5  # actions this close to the best (relative to the largest value) share a policy


class Solution(NamedTuple):
    values: Float[Array, 's']
    q: Float[Array, 's a']
    policy: Float[Array, 's a']
    iterations: Int[Array, '']
    residuals: Float[Array, 'limit']  # largest change in each iteration; NaN after the last


def backup(mdp: MDP, values: Float[Array, 's']) -> Float[Array, 's a']:
    """What each action is worth where `values` follow (the sum in 4.6):

    q(s, a) = sum_s' p(s'|s, a) [r(s, a, s') + discount v(s')], with v = 0 in terminal states.
    """
    future = jnp.where(mdp.terminal, 0.0, values)
    future = jnp.einsum('sap,p->sa', mdp.transition, future, precision='highest')
    return mdp.expected_reward() + mdp.discount * future


def expectation(
    mdp: MDP, policy: Float[Array, 's a'], values: Float[Array, 's']
) -> Float[Array, 's']:
    """The Bellman operator of a policy (4.5)."""
    return (policy * backup(mdp, values)).sum(-1)


def optimality(
    mdp: MDP, values: Float[Array, 's'], epsilon: Float[Array, ''] | float = 0.0
) -> Float[Array, 's']:
    """The Bellman optimality operator (4.10); with `epsilon`, that of the best epsilon-soft policy
    (section 5.4): (1 - epsilon) max_a q(s, a) + epsilon mean_a q(s, a)."""
    q = backup(mdp, values)
    return (1 - epsilon) * q.max(-1) + epsilon * q.mean(-1)


def residual(
    mdp: MDP, values: Float[Array, 's'], policy: Float[Array, 's a'] | None = None
) -> Float[Array, 's']:
    """How far values are from their Bellman equation: the operator's result minus the values
    (11.18), for a policy or, without one, for the optimal policy."""
    if policy is None:
        return optimality(mdp, values) - values
    return expectation(mdp, policy, values) - values


def greedy(q: Float[Array, '... a'], tie: float = TIE) -> Float[Array, '... a']:
    """The greedy policy (4.15). Best actions share the probability equally, where they differ by
    at most `tie` times the largest |q|."""
    margin = tie * jnp.maximum(1.0, jnp.abs(q).max())
    best = (q >= q.max(-1, keepdims=True) - margin).astype(q.dtype)
    return best / best.sum(-1, keepdims=True)


def soft(
    q: Float[Array, '... a'], epsilon: Float[Array, '...'] | float, tie: float = TIE
) -> Float[Array, '... a']:
    """The epsilon-greedy policy: greedy, but uniform with probability epsilon (section 5.4)."""
    epsilon = jnp.asarray(epsilon)[..., None]
    return (1 - epsilon) * greedy(q, tie) + epsilon / q.shape[-1]


def uniform(mdp: MDP) -> Float[Array, 's a']:
    """The policy that takes every action equally often."""
    return jnp.full((mdp.states, mdp.actions), 1 / mdp.actions, mdp.transition.dtype)


@partial(jax.jit, static_argnames='limit')
def evaluate(
    mdp: MDP,
    policy: Float[Array, 's a'],
    tolerance: float = 1e-6,
    limit: int = 10_000,
) -> Solution:
    """Iterative policy evaluation: sweeps of 4.5 from zero."""
    found = _sweep(partial(expectation, mdp, policy), _zeros(mdp), tolerance, limit)
    return Solution(found[0], backup(mdp, found[0]), policy, *found[1:])


@partial(jax.jit, static_argnames='limit')
def value_iteration(
    mdp: MDP,
    tolerance: float = 1e-6,
    limit: int = 10_000,
    epsilon: Float[Array, ''] | float = 0.0,
) -> Solution:
    """Sweeps of 4.10 from zero; with `epsilon`, to the best epsilon-soft policy."""
    found = _sweep(partial(optimality, mdp, epsilon=epsilon), _zeros(mdp), tolerance, limit)
    q = backup(mdp, found[0])
    return Solution(found[0], q, soft(q, epsilon), *found[1:])


def improve(
    policy: Float[Array, 's a'], q: Float[Array, 's a'], tolerance: float = 1e-6
) -> tuple[Float[Array, 's a'], Float[Array, '']]:
    """Policy improvement (4.9): the policy, made greedy where that is better by `tolerance` of the
    largest value, and the largest improvement, 0 where there is none.

    Other states keep their actions: so equally good policies do not alternate for ever (exercise
    4.4), and with discount 1 no policy is led into a circle.
    """
    gain = q.max(-1) - (policy * q).sum(-1)
    better = gain > tolerance * jnp.maximum(1.0, jnp.abs(q).max())
    return jnp.where(better[:, None], greedy(q), policy), jnp.where(better, gain, 0.0).max()


@partial(jax.jit, static_argnames='limit')
def policy_iteration(mdp: MDP, tolerance: float = 1e-6, limit: int = 100) -> Solution:
    """Exact evaluation and greedy improvement in turn (section 4.3), from the uniform policy.
    The residual is the largest improvement."""

    def going(now):
        _, _, count, residuals = now
        return (count < limit) & ((count == 0) | (residuals[count - 1] > 0))

    def alternate(now):
        policy, _, count, residuals = now
        values = solve(mdp, policy)
        policy, gain = improve(policy, backup(mdp, values), tolerance)
        return policy, values, count + 1, residuals.at[count].set(gain)

    nothing = jnp.full(limit, jnp.nan, mdp.transition.dtype)
    first = uniform(mdp), _zeros(mdp), jnp.int32(0), nothing
    policy, values, count, residuals = jax.lax.while_loop(going, alternate, first)
    return Solution(values, backup(mdp, values), policy, count, residuals)


@jax.jit
def solve(mdp: MDP, policy: Float[Array, 's a']) -> Float[Array, 's']:
    """The values of a policy as the solution of their Bellman equations (3.14):
    (I - discount P) v = r. With discount 1 the policy must reach a terminal state."""
    reward = (policy * mdp.expected_reward()).sum(-1)
    return jnp.linalg.solve(_system(mdp, policy), reward)


@jax.jit
def occupancy(mdp: MDP, policy: Float[Array, 's a']) -> Float[Array, 's']:
    """Expected visits to each state, the t-th step counting discount^t (9.2 with discounting):
    eta = start + discount P' eta. sum_s eta(s) r(s) is the value of the start; 0 where an episode
    has ended."""
    visits = jnp.linalg.solve(_system(mdp, policy).T, mdp.start)
    return jnp.where(mdp.terminal, 0.0, visits)


def _system(mdp, policy):
    """I - discount P, without the steps into terminal states, which are worth nothing."""
    moves = jnp.einsum('sa,sap->sp', policy, mdp.transition, precision='highest')
    moves = jnp.where(mdp.terminal, 0.0, moves)
    return jnp.eye(mdp.states, dtype=moves.dtype) - mdp.discount * moves


def _zeros(mdp):
    return jnp.zeros_like(mdp.start)


def _sweep(operator: Callable, values, tolerance, limit):
    """(values, iterations, residuals) of applying an operator until it changes nothing."""

    def going(now):
        _, count, residuals = now
        return (count < limit) & ((count == 0) | (residuals[count - 1] > tolerance))

    def apply(now):
        values, count, residuals = now
        new = operator(values)
        residuals = residuals.at[count].set(jnp.abs(new - values).max())
        return new, count + 1, residuals

    first = values, jnp.int32(0), jnp.full(limit, jnp.nan, values.dtype)
    return jax.lax.while_loop(going, apply, first)
