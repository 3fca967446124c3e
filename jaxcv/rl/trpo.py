"""Trust-region policy optimization (Schulman et al. 2015).

One update: the natural gradient of the surrogate, by conjugate gradients; the longest step along
it that the bound on the KL divergence allows, by a line search; then the critic is fitted.

    maximize  E[ pi(a | s) / pi_old(a | s) A(s, a) ]   such that   E[ KL(pi_old || pi) ] <= bound
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.rl.advantages import explained_variance, standardize
from jaxcv.rl.learner import Learner, descend, fixed
from jaxcv.rl.lessons import Lesson, groups, lessons, shuffled
from jaxcv.rl.lessons import check as check
from jaxcv.rl.rollout import Trajectory


@struct.dataclass
class TRPO:
    """The optimizer and its learning rate are those of the critic; the bound sets the policy's."""

    steps: int = fixed(256)  # per environment and update
    epochs: int = fixed(10)  # of the critic, over the segment
    minibatches: int = fixed(16)  # of the critic, per epoch
    normalize: bool = fixed(True)  # advantages, over the segment
    iterations: int = fixed(10)  # of conjugate gradients
    backtracks: int = fixed(10)  # lengths that the line search tries
    discount: float = 0.99  # gamma
    trace: float = 0.98  # lambda of the advantages
    bound: float = 0.01  # on the mean KL divergence of one update
    damping: float = 0.1  # added to the diagonal of the Fisher matrix
    shrink: float = 0.8  # from one length of the line search to the next


class Search(NamedTuple):
    """What a line search found; until a length is accepted, the old parameters and zeros."""

    tried: Int[Array, '']
    accepted: Bool[Array, '']
    params: PyTree[Array]
    size: Float[Array, '']  # as a share of the full step
    gain: Float[Array, '']  # of the surrogate
    kl: Float[Array, '']


def updates(agent: TRPO) -> int:
    """Steps of the optimizer, which trains the critic, in one update."""
    return agent.epochs * agent.minibatches


def start(optimizer: optax.GradientTransformation, params: PyTree[Array], rate: float) -> Learner:
    """A learner whose optimizer knows the critic alone."""
    if 'shared' in params:
        raise UserError(
            'config.model.shared is True, but TRPO moves the policy and the critic by different'
            ' rules: set it to False'
        )
    return Learner(params, optimizer.init(params['critic']), jnp.float32(rate))


def learn(
    agent: TRPO,
    optimizer: optax.GradientTransformation,
    network,
    learner: Learner,
    segment: Trajectory,
    carry: PyTree[Array],
    key: Key[Array, ''],
) -> tuple[Learner, dict[str, Float[Array, '']]]:
    """The policy's step and the critic's epochs on one segment, which began with `carry`.

    network: (params, observation [t n ...], start [t n], carry) -> (policy, value [t n], carry).
    """
    lesson = lessons(agent, segment)
    critic = learner.params['critic']
    policy = {name: part for name, part in learner.params.items() if name != 'critic'}

    def act(policy):
        return network({**policy, 'critic': critic}, lesson.observation, lesson.start, carry)[0]

    policy, metrics = improve(agent, act, policy, lesson.action, lesson.log_prob, lesson.advantage)

    def value(critic, observation, start, carry):
        return network({**policy, 'critic': critic}, observation, start, carry)[1]

    critic, value_loss = fit(
        agent, optimizer, value, Learner(critic, learner.opt, learner.rate), lesson, carry, key
    )
    fitted = across.mean(explained_variance(lesson.value, lesson.target))
    metrics |= {'value_loss': value_loss, 'explained_variance': fitted}
    return Learner({**policy, 'critic': critic.params}, critic.opt, learner.rate), metrics


def improve(
    agent: TRPO,
    act: Callable,
    params: PyTree[Array],
    action: Array,
    log_prob: Float[Array, 't n'],
    advantage: Float[Array, 't n'],
) -> tuple[PyTree[Array], dict[str, Float[Array, '']]]:
    """The policy's step. act: params -> distribution [t n]; `log_prob` is that of `action` [t n]
    under `params`. The parameters come back unchanged where no length was acceptable."""
    advantage = standardize(advantage) if agent.normalize else advantage
    old = jax.lax.stop_gradient(act(params))

    def gain(new):  # eq. 14, less its value for the old policy
        return (jnp.expm1(new.log_prob(action) - log_prob) * advantage).mean()

    def judge(params):
        new = act(params)
        return across.mean((gain(new), old.kl(new).mean()))

    gradient = across.mean(jax.grad(lambda params: gain(act(params)))(params))
    product = fisher(lambda params: old.kl(act(params)).mean(), params, agent.damping)
    direction, residual = conjugate_gradients(product, gradient, agent.iterations)
    # The KL of a step is half its squared length in the metric of F (appendix C).
    curvature = optax.tree.vdot(direction, optax.tree.sub(gradient, residual))
    length = jnp.sqrt(2 * agent.bound / jnp.maximum(curvature, 1e-30))
    found = search(agent, judge, params, optax.tree.scale(length, direction))
    norm = optax.tree.norm(gradient)
    return found.params, {
        'policy_loss': -found.gain,
        'entropy': across.mean(old.entropy().mean()),
        'kl': found.kl,
        'grad_norm': norm,
        'improvement': found.gain,
        'step_size': found.size,
        'line_search_steps': found.tried.astype(jnp.float32),
        'cg_residual': optax.tree.norm(residual) / jnp.maximum(norm, 1e-30),
    }


def fisher(
    divergence: Callable[[PyTree], Float[Array, '']], params: PyTree[Array], damping: float = 0.0
) -> Callable[[PyTree], PyTree]:
    """v -> (F + damping) v, where F is the Fisher matrix averaged over all devices.

    divergence: params -> mean KL from the policy at `params`; its Hessian there is F. The product
    is the jvp of its gradient along v, of which everything that does not depend on v is done once.
    """
    _, along = jax.linearize(jax.grad(divergence), params)
    return lambda v: optax.tree.add_scale(across.mean(along(v)), damping, v)


def conjugate_gradients(
    product: Callable[[PyTree], PyTree], b: PyTree[Array], iterations: int
) -> tuple[PyTree[Array], PyTree[Array]]:
    """x with A x = b, for a positive definite A given by its products, and the residual b - A x
    (Hestenes & Stiefel 1952).

    As many iterations as b has entries solve it, but for rounding. Stands still once solved.
    """

    def iteration(_, now):
        x, residual, direction, square = now
        image = product(direction)
        curvature = optax.tree.vdot(direction, image)
        rate = jnp.where(curvature > 0, square / jnp.where(curvature > 0, curvature, 1.0), 0.0)
        x = optax.tree.add_scale(x, rate, direction)
        residual = optax.tree.add_scale(residual, -rate, image)
        new = optax.tree.vdot(residual, residual)
        keep = jnp.where(square > 0, new / jnp.where(square > 0, square, 1.0), 0.0)
        return x, residual, optax.tree.add_scale(residual, keep, direction), new

    first = optax.tree.zeros_like(b), b, b, optax.tree.vdot(b, b)
    return jax.lax.fori_loop(0, iterations, iteration, first)[:2]


def search(agent: TRPO, judge: Callable, params: PyTree[Array], step: PyTree[Array]) -> Search:
    """The first of the lengths 1, shrink, shrink^2, ... of `step` that improves the surrogate and
    keeps the bound. judge: params -> (gain, kl), the same on all devices.

    A NaN is never acceptable, since it compares as false."""

    def looking(now):
        return ~now.accepted & (now.tried < agent.backtracks)

    def attempt(now):
        size = jnp.asarray(agent.shrink) ** now.tried
        new = optax.tree.add_scale(params, size, step)
        gain, kl = judge(new)
        accepted = (gain > 0) & (kl <= agent.bound)
        there = Search(now.tried + 1, accepted, new, size, gain, kl)
        return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), there, refused(now.tried + 1))

    def refused(tried):
        zero = jnp.zeros(())
        return Search(tried, jnp.array(False), params, zero, zero, zero)

    return jax.lax.while_loop(looking, attempt, refused(jnp.int32(0)))


def fit(
    agent: TRPO,
    optimizer: optax.GradientTransformation,
    value: Callable,
    critic: Learner,
    lesson: Lesson,
    carry: PyTree[Array],
    key: Key[Array, ''],
) -> tuple[Learner, Float[Array, '']]:
    """All epochs of the critic's regression to the targets; with the last epoch's mean loss.

    value: (critic, observation [t n ...], start [t n], carry) -> value [t n].
    """
    recurrent = bool(jax.tree.leaves(carry))
    t, n = lesson.value.shape
    check(agent, n, recurrent)
    table = groups(n, t, agent.minibatches, recurrent)
    keys = jax.random.split(key, agent.epochs)
    rows = jax.vmap(lambda key: shuffled(key, table, agent.minibatches))(keys)
    data = lesson.observation, lesson.start, lesson.target
    if not recurrent:  # every step is a sequence of its own
        data = jax.tree.map(lambda x: x.reshape(1, t * n, *x.shape[2:]), data)

    def error(params, part, carry):
        observation, start, target = part
        return 0.5 * jnp.square(value(params, observation, start, carry) - target).mean()

    def minibatch(critic, rows):
        part = jax.tree.map(lambda x: x[:, rows], data)
        before = jax.tree.map(lambda x: x[rows], carry)
        found, grads = jax.value_and_grad(error)(critic.params, part, before)
        critic, _ = descend(optimizer, critic, grads)
        return critic, found

    critic, errors = jax.lax.scan(minibatch, critic, rows.reshape(-1, *rows.shape[2:]))
    return critic, across.mean(errors[-agent.minibatches :].mean())
