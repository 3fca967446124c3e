"""Deep Q-learning: an agent learns from all that it ever did; see `jaxcv.rl.dqn`.

`config.agent`             the numbers of `jaxcv.rl.dqn.DQN`
`config.env`               the environment: name, params, wrappers; `limit` and `episodes` of an
                           evaluation
`config.model`             the encoder and its fields; `dueling` and `streams` of `QNetwork`
`config.train.batch_size`  how many environments act at once
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import UserError, choose, construct
from jaxcv.ops import across
from jaxcv.rl import dqn, evaluation, pictures, promises, replay, rollout
from jaxcv.rl import learner as learning
from jaxcv.rl.envs import make
from jaxcv.rl.envs.environment import Discrete, blank
from jaxcv.rl.qnetwork import QNetwork
from jaxcv.train import Experiment, Optim, optimizer
from jaxcv.train.config import settings

TYPES = ('', 'bool', 'int8', 'uint8', 'float16')


@struct.dataclass
class State:
    """All that training carries. What `actors` and `replay` hold differs between devices."""

    agent: dqn.DQN  # its numbers: agents that differ in them share a program
    student: dqn.Student
    actors: rollout.Actors
    replay: replay.Replay
    rounds: Int[Array, '']  # steps of every environment so far
    recent: dict[str, Float[Array, '']]  # the episodes that ended last


class Agent(NamedTuple):
    """What a run that needs this one receives."""

    act: Callable  # (observation [n ...], start [n], carry, keys [n]) -> (action [n], carry)
    values: Callable  # observation [n ...] -> values of actions [n a]


def build(config) -> Experiment:
    train, optim, env = settings(config), Optim(**config.optim.to_dict()), config.env.to_dict()
    limit, count = env.pop('limit'), env.pop('episodes', 64)
    envs = make.environments(**env)
    agent = agent_of(config.agent.to_dict(), train.batch_size)
    network = q_network(envs, config.model.to_dict())
    waits = -(-agent.warmup // (agent.steps * train.batch_size))  # iterations before learning
    learns = max(train.steps - waits, 1) * agent.updates
    descent = optimizer(dataclasses.replace(optim, lr=1.0), learns)

    def q(params, observation):
        return network.apply({'params': params}, observation.astype(envs.observation.dtype))

    def init(key):
        net_key, env_key = jax.random.split(key)
        actors = rollout.enter(envs, across.keys(env_key, train.batch_size), ())
        params = network.init(net_key, actors.observation[:1])['params']
        kept = blank(envs.observation).update(dtype=agent.stored or envs.observation.dtype)
        return State(
            agent=jax.tree.map(jnp.float32, agent),
            student=dqn.start(learning.start(descent, params, optim.lr)),
            actors=actors,
            replay=replay.create(kept, blank(envs.action), train.batch_size, agent.capacity),
            rounds=jnp.int32(0),
            recent={'episode_return': jnp.zeros(()), 'episode_length': jnp.zeros(())},
        )

    def step(state, batch, key):
        """Algorithm 1 of Mnih et al. (2015): act, keep what happened, learn from what was kept."""
        act_key, learn_key = jax.random.split(key)
        together = len(state.actors.start) * across.size()
        epsilon = dqn.epsilon(state.agent, state.rounds.astype(jnp.float32) * together)
        params = state.student.learner.params
        actors, kept, finished = dqn.collect(
            envs, q, state.agent, params, state.actors, state.replay, act_key, epsilon
        )
        rounds = state.rounds + agent.steps
        steps = rounds.astype(jnp.float32) * together
        student, metrics = dqn.learn_if(
            steps >= agent.warmup, state.agent, descent, q, state.student, kept, learn_key
        )
        recent = rollout.latest(state.recent, finished)
        state = State(state.agent, student, actors, kept, rounds, recent)
        invalid = rollout.invalid(actors.observation)
        counts = {'epsilon': epsilon, 'env_steps': steps, 'invalid': invalid}
        return state, {**metrics, **recent, **counts}

    return Experiment(
        init=init,
        step=step,
        split=('actors/**', 'replay/**'),
        alarms={'invalid': rollout.complaint(envs)},
        evaluate=judge(envs, q, count, limit),
        show=gallery(envs, q, limit),
        export=lambda state: Agent(acting(q, state), partial(q, state.student.learner.params)),
    )


def acting(q, state):
    """Always the most valuable action."""

    def act(observation, start, carry, keys):
        return dqn.greedy(q(state.student.learner.params, observation)), carry

    return act


def promised(envs, q, limit, state, keys):
    """What the values promise in some episodes, and what came."""
    values = partial(q, state.student.learner.params)
    return promises.promises(envs, values, keys, state.agent.discount, limit)


def judge(envs, q, count, limit):
    """Scores of whole episodes, and by how much the values promise too much."""

    @jax.jit
    def judged(state, key):
        keys = jax.random.split(key, count)
        played = evaluation.episodes(envs, acting(q, state), (), keys, limit)
        excess = promises.excess(promised(envs, q, limit, state, keys))
        best = played.returns.max()
        return {**evaluation.scores(played), 'best_return': best, 'overestimation': excess}

    return judged


def gallery(envs, q, limit):
    """What values promise, and a video of some episodes."""
    promise = jax.jit(partial(promised, envs, q, limit))

    @jax.jit
    def film(state, keys):
        return evaluation.film(envs, acting(q, state), (), keys, min(limit, pictures.FRAMES))

    def show(state, key):
        keys = jax.random.split(key, pictures.FILMED)
        media = {'values': promises.picture(promise(state, keys))}
        return media | ({'policy': pictures.video(*film(state, keys))} if envs.render else {})

    return show


def agent_of(section, count) -> dqn.DQN:
    """The numbers of a config's `agent` section, for `count` environments."""
    choose(section.pop('name', 'dqn'), ('dqn',), 'config.agent.name')
    agent = construct(dqn.DQN, section, 'config.agent')
    choose(agent.stored, TYPES, 'config.agent.stored')
    dqn.check(agent, count)
    return agent


def q_network(envs, model) -> QNetwork:
    """The network of a config's `model` section."""
    if not isinstance(envs.action, Discrete):
        raise UserError(
            f'dqn compares the values of single choices, but {envs.name} takes {envs.action};'
            ' use a policy gradient (config.experiment = policy_gradient)'
        )
    fields = {name: model.pop(name) for name in ('dueling', 'streams') if name in model}
    return QNetwork(actions=envs.action.n, encoder=model, **fields)
