"""Tables in grid worlds: planning where the world is known, learning where it is not; see
`jaxcv.rl.tabular`.

`config.env`               the world: name and fields of `jaxcv.rl.tabular.worlds`, and `limit`,
                           the steps after which an episode is cut off
`config.agent`             name and fields of an `Agent`, and `steps` of every walker (or episodes,
                           for monte_carlo) in a step; or 'value_iteration' or 'policy_iteration',
                           whose step is one iteration
`config.train.batch_size`  how many walkers fill the table at once
"""

from typing import Any

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError, choose, construct
from jaxcv.ops import across
from jaxcv.rl.tabular import exact, history, learn, monte_carlo, pictures, worlds
from jaxcv.rl.tabular.table import Agent
from jaxcv.train import Experiment
from jaxcv.train.config import settings

PLANNERS = ('value_iteration', 'policy_iteration')


@struct.dataclass
class Learning:
    """What learning from experience carries. The walkers differ between devices."""

    agent: Agent
    learner: learn.Learner
    recent: dict[str, Float[Array, '']]  # the episodes that ended last
    history: history.History

    @property
    def q(self):
        return self.learner.table.q


@struct.dataclass
class Planning:
    """What dynamic programming carries."""

    q: Float[Array, 's a']
    policy: Float[Array, 's a']
    history: history.History


def build(config) -> Experiment:
    env, agent = config.env.to_dict(), config.agent.to_dict()
    limit = env.pop('limit', 500)
    if not isinstance(limit, int) or limit < 1:
        raise UserError(f'config.env.limit is {limit!r}, but must be a whole number of steps')
    world = worlds.world(**env)
    choose(agent['name'], (*learn.METHODS, *PLANNERS), 'config.agent.name')
    if agent['name'] in PLANNERS:
        for field in agent:
            choose(field, ('name',), 'a field of config.agent')
        init, step = planning(world.mdp, **agent)
        target = exact.value_iteration(world.mdp).q
    else:
        steps = agent.pop('steps', 100)
        agent = construct(Agent, agent, 'config.agent')
        target = learn.fixed_point(world.mdp, agent)
        init, step = learning(world.mdp, agent, steps, limit, settings(config).batch_size, target)
    return Experiment(
        init=init,
        step=step,
        split=() if isinstance(agent, dict) else ('learner/walkers/**',),
        evaluate=judge(world.mdp, target, limit),
        show=gallery(world, limit),
        export=lambda state: exact.greedy(state.q),
    )


def learning(mdp, agent, steps, limit, walkers, target):
    """(init, step) of an agent that walks through the MDP."""

    def init(key):
        return Learning(
            agent=jax.tree.map(jnp.float32, agent),
            learner=learn.start(mdp, agent, key, walkers),
            recent={'episode_return': jnp.zeros(()), 'episode_length': jnp.zeros(())},
            history=history.empty('return', 'error'),
        )

    def step(state, batch, key):
        def tick(learner, key):
            learner, episodes = learn.step(mdp, state.agent, learner, key, limit)
            ended = episodes.ended
            sums = [jnp.where(ended, x, 0).sum() for x in (episodes.returns, episodes.lengths)]
            return learner, jnp.stack([ended.sum(), *sums])

        learner, sums = jax.lax.scan(tick, state.learner, jax.random.split(key, steps))
        count, returns, lengths = across.sum(sums.sum(0))
        error = distance(mdp, learner.table.q, target)
        recent = {
            name: jnp.where(count > 0, total / jnp.maximum(count, 1), state.recent[name])
            for name, total in (('episode_return', returns), ('episode_length', lengths))
        }
        curves = history.note(state.history, **{'return': (returns, count), 'error': (error, 1.0)})
        return Learning(state.agent, learner, recent, curves), {**recent, 'error': error}

    return init, step


def planning(mdp, name):
    """(init, step) of value or policy iteration."""

    def init(key):
        start = exact.uniform(mdp)
        return Planning(jnp.zeros_like(start), start, history.empty('error'))

    def step(state, batch, key):
        if name == 'value_iteration':
            q = exact.backup(mdp, state.q.max(-1))
            policy, gain = exact.greedy(q), jnp.abs(q.max(-1) - state.q.max(-1)).max()
        else:
            q = exact.backup(mdp, exact.solve(mdp, state.policy))
            policy, gain = exact.improve(state.policy, q)
        curves = history.note(state.history, error=(gain, 1.0))
        return Planning(q, policy, curves), {'error': gain}

    return init, step


def distance(mdp, q, target):
    """Root mean square difference of two tables, terminal states aside."""
    acting = ~mdp.terminal[:, None]
    squares = jnp.where(acting, jnp.square(q - target), 0.0)
    return jnp.sqrt(squares.sum() / (acting.sum() * mdp.actions))


def judge(mdp, target, limit):
    """How good the greedy policy is, exactly: its value from the start, over `limit` steps, what
    the optimal policy has more, and the share of states in which it acts optimally."""
    best = exact.value_iteration(mdp)
    optimal = exact.greedy(best.q) > 0

    @jax.jit
    def judged(state):
        policy = exact.greedy(state.q)
        worth = exact.evaluate(mdp, policy, 0.0, limit).values @ mdp.start
        acts_well = ((policy > 0) <= optimal).all(-1)
        return {
            'greedy_return': worth,
            'regret': best.values @ mdp.start - worth,
            'optimal_actions': acts_well.mean(where=~mdp.terminal),
            'error': distance(mdp, state.q, target),
        }

    return lambda state, key: judged(state)


def gallery(world, limit):
    """Values, policy and one episode of it, values of actions, and curves."""
    best = float(exact.value_iteration(world.mdp).values @ world.mdp.start)
    play = jax.jit(lambda policy, key: monte_carlo.episode(world.mdp, policy, key, limit))

    def show(state: Any, key):
        values, policy = state.q.max(-1), exact.greedy(state.q)
        episode = play(policy, key)
        path = [*episode.state[episode.valid], episode.last]
        media = {
            'values': pictures.values(world, values, 'Values of the greedy actions'),
            'policy': pictures.policy(world, policy, values, path, 'Greedy policy, one episode'),
        }
        if world.mdp.states <= 60:
            media['actions'] = pictures.action_values(world, state.q)
        lines = {name: {name: history.curve(state.history, name)} for name in state.history.sums}
        levels = {'return': (best, 'optimal')} if world.mdp.discount == 1 else {}
        media['curves'] = pictures.curves(lines, levels)
        return media

    return show
