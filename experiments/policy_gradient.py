"""Policy gradients: an agent learns from what it just did; see `jaxcv.rl`.

`config.agent`             the algorithm (ppo, trpo, actor_critic, reinforce) and its fields
`config.env`               the environment: name, params, wrappers; `normalize` running moments of
                           'observation' and 'reward'; `episodes` of an evaluation, their
                           `limit`, and params that are `judged` by instead
`config.model`             the encoder and its fields, and those of `ActorCritic`
`config.train.batch_size`  how many environments act at once
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import choose, construct
from jaxcv.ops import across
from jaxcv.rl import distributions, evaluation, normalize, pictures, rollout
from jaxcv.rl.envs import make
from jaxcv.rl.learner import Learner
from jaxcv.rl.networks import ActorCritic
from jaxcv.train import Experiment, Optim, optimizer
from jaxcv.train.config import settings

ALGORITHMS = {'ppo': 'PPO', 'trpo': 'TRPO', 'actor_critic': 'ActorCritic', 'reinforce': 'Reinforce'}
ACTOR_CRITIC = ('shared', 'memory', 'width', 'log_std')
NORMALIZED = ('observation', 'reward')


@struct.dataclass
class State:
    """All that training carries. What `actors` and `sums` hold differs between devices."""

    agent: Any  # the numbers of the algorithm: agents that differ in them share a program
    learner: Learner
    seen: dict[str, normalize.Moments]  # of observations and of discounted sums of rewards
    actors: rollout.Actors
    sums: Float[Array, 'n']  # discounted rewards so far
    recent: dict[str, Float[Array, '']]  # the episodes that ended last


class Agent(NamedTuple):
    """What a run that needs this one receives."""

    act: Callable  # (observation [n ...], start [n], carry, keys [n]) -> (action [n ...], carry)
    blank: Callable  # n -> the carry of n environments


def build(config) -> Experiment:
    train, optim, env = settings(config), Optim(**config.optim.to_dict()), config.env.to_dict()
    normalized, limit = env.pop('normalize', ()), env.pop('limit')
    episodes, judged = env.pop('episodes', 64), env.pop('judged', {})
    for name in normalized:
        choose(name, NORMALIZED, 'config.env.normalize')
    envs = make.environments(**env)
    tests = make.environments(**env | {'params': env.get('params', {}) | judged})
    network = actor_critic(envs, config.model.to_dict())
    algorithm, agent = algorithm_of(config.agent.to_dict())
    algorithm.check(agent, train.batch_size, bool(network.memory))
    descent = optimizer(dataclasses.replace(optim, lr=1.0), train.steps * algorithm.updates(agent))

    def apply(params, seen, observation, start, carry):
        if 'observation' in seen:
            observation = normalize.standardize(seen['observation'], observation)
        return network.apply({'params': params}, observation, start, carry)

    def init(key):
        net_key, env_key = jax.random.split(key)
        n = train.batch_size
        actors = rollout.enter(envs, across.keys(env_key, n), network.blank(n))
        first = actors.observation[None, :1], actors.start[None, :1], network.blank(1)
        shapes = {'observation': envs.observation.shape, 'reward': ()}
        return State(
            agent=jax.tree.map(jnp.float32, agent),
            learner=algorithm.start(descent, network.init(net_key, *first)['params'], optim.lr),
            seen={name: normalize.moments(shapes[name]) for name in normalized},
            actors=actors,
            sums=jnp.zeros(n),
            recent={'episode_return': jnp.zeros(()), 'episode_length': jnp.zeros(())},
        )

    def step(state, batch, key):
        collect_key, learn_key = jax.random.split(key)

        def policy(params, *inputs):
            return apply(params, state.seen, *inputs)

        def acting(*inputs):
            return policy(state.learner.params, *inputs)

        actors, segment, finished = rollout.collect(
            envs, acting, state.actors, collect_key, agent.steps
        )
        invalid = rollout.invalid(segment.observation, segment.reward)
        seen, sums, segment = note(state, segment)
        learner, metrics = algorithm.learn(
            state.agent, descent, policy, state.learner, segment, state.actors.carry, learn_key
        )
        recent = rollout.latest(state.recent, finished)
        state = State(state.agent, learner, seen, actors, sums, recent)
        return state, metrics | recent | {'invalid': invalid}

    plays = {greedy: policy_of(apply, greedy) for greedy in (False, True)}
    return Experiment(
        init=init,
        step=step,
        split=('actors/**', 'sums'),
        alarms={'invalid': rollout.complaint(envs)},
        evaluate={
            '': judge(tests, plays[False], network.blank, episodes, limit),
            'greedy': judge(tests, plays[True], network.blank, episodes, limit),
        },
        show=film(tests, plays[False], network.blank, min(limit, pictures.FRAMES))
        if tests.render
        else None,
        export=lambda state: Agent(plays[False](state), network.blank),
    )


def note(state, segment):
    """The moments, with the segment added to them, and the segment with its rewards scaled."""
    seen, sums = dict(state.seen), state.sums
    if 'observation' in seen:
        seen['observation'] = normalize.add(seen['observation'], segment.observation)
    if 'reward' in seen:
        done = segment.terminated | segment.truncated
        sums, each = normalize.discounted(sums, segment.reward, done, state.agent.discount)
        seen['reward'] = normalize.add(seen['reward'], each)
        segment = segment._replace(reward=normalize.scale(seen['reward'], segment.reward))
    return seen, sums, segment


def policy_of(apply, greedy):
    """A state's way to act: its most likely action, or one drawn from its policy."""

    def of(state):
        def act(observation, start, carry, keys):
            inputs = observation[None], start[None], carry
            policy, _, carry = apply(state.learner.params, state.seen, *inputs)
            policy = jax.tree.map(lambda x: x[0], policy)
            action = policy.mode() if greedy else policy.sample(policy.noise(keys))
            return policy.executed(action), carry

        return act

    return of


def judge(envs, act_of, blank, episodes, limit):
    """Scores of whole episodes in environments of their own."""

    @jax.jit
    def judged(state, key):
        keys = jax.random.split(key, episodes)
        played = evaluation.episodes(envs, act_of(state), blank(episodes), keys, limit)
        return evaluation.scores(played)

    return judged


def film(envs, act_of, blank, steps):
    """A video of some episodes."""

    @jax.jit
    def filmed(state, keys):
        return evaluation.film(envs, act_of(state), blank(len(keys)), keys, steps)

    return lambda state, key: {
        'policy': pictures.video(*filmed(state, jax.random.split(key, pictures.FILMED)))
    }


def actor_critic(envs, model) -> ActorCritic:
    """The network of a config's `model` section."""
    kind = model.pop('policy', 'auto')
    distributions.require(kind, envs.action, envs.name)
    fields = {name: model.pop(name) for name in ACTOR_CRITIC if name in model}
    squash = kind == 'tanh_normal'
    return ActorCritic(action=envs.action, encoder=model, squash=squash, **fields)


def algorithm_of(section):
    """The module of `config.agent.name`, and its record of numbers."""
    name = choose(section.pop('name'), ALGORITHMS, 'config.agent.name')
    module = importlib.import_module(f'jaxcv.rl.{name}')
    return module, construct(getattr(module, ALGORITHMS[name]), section, 'config.agent')
