"""Deep Q-learning (Mnih et al. 2015), with the details that later work made standard.

Acting is epsilon-greedy, and everything is kept; learning moves Q(s, a) toward

    y = r + gamma max_a' Q_target(s', a')                 (Mnih et al. 2015)
    y = r + gamma Q_target(s', argmax_a' Q(s', a'))       (double; van Hasselt et al. 2016)

under the Huber loss, where the target's parameters follow the learner's slowly. Only a termination
makes the second term 0: behind a time limit the future is worth what it is worth.
"""

from collections.abc import Callable

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.rl import replay as memory
from jaxcv.rl.envs.vector import Environments
from jaxcv.rl.learner import Learner, descend, fixed
from jaxcv.rl.replay import Replay, Sample, Transition
from jaxcv.rl.rollout import Actors, Finished, advance, finished

# (params, observation [b ...]) -> values of actions [b a]
Network = Callable[[PyTree[Array], Array], Float[Array, 'b a']]


@struct.dataclass
class DQN:
    """An iteration takes `steps` steps in every environment and then learns from `updates`
    minibatches. Counts of steps are those of all environments together."""

    steps: int = fixed(1)
    updates: int = fixed(1)
    batch: int = fixed(128)  # of a minibatch: enough to average the noise of exploration
    capacity: int = fixed(50_000)  # steps kept: many episodes, so that old mistakes are remembered
    stored: str = fixed('')  # type in which observations are kept, '' their own
    lookahead: int = fixed(1)  # steps before a target bootstraps
    double: bool = fixed(True)  # less overestimation at the cost of one more evaluation
    warmup: int = fixed(1000)  # steps before learning starts: several minibatches apart
    discount: float = 0.99  # gamma
    # Errors beyond it weigh linearly. Where values are large, and errors with them, a small delta
    # makes the few terminations pass for outliers, and the values run away.
    delta: float = 1.0
    epsilon: float = 1.0  # share of random actions at first
    epsilon_end: float = 0.05
    epsilon_steps: float = 20_000.0  # until epsilon has fallen, linearly, to its end
    target_every: float = 250.0  # updates between two moves of the target
    target_rate: float = 1.0  # how far it moves; 0.005 with target_every 1 is Polyak's average


@struct.dataclass
class Student:
    """The learner, and the slower copy of its parameters that its targets come from."""

    learner: Learner
    target: PyTree[Array]
    updates: Int[Array, '']


def start(learner: Learner) -> Student:
    """A student whose target is its own beginning."""
    return Student(learner, jax.tree.map(jnp.copy, learner.params), jnp.int32(0))


def check(agent: DQN, count: int) -> None:
    """Refuses minibatches and memories that `count` environments do not fit."""
    if agent.batch % count:
        raise UserError(
            f'config.agent.batch is {agent.batch}, which the {count} environments of'
            ' config.train.batch_size do not divide; each gives equally many steps to a minibatch'
        )
    if agent.capacity < count * agent.lookahead:
        raise UserError(
            f'config.agent.capacity is {agent.capacity}, which has no room for'
            f' {agent.lookahead} steps (config.agent.lookahead) of {count} environments'
        )


# Acting.


def epsilon(agent: DQN, steps: Float[Array, '']) -> Float[Array, '']:
    """The share of random actions after so many steps."""
    share = jnp.clip(steps / agent.epsilon_steps, 0.0, 1.0)
    return agent.epsilon + share * (agent.epsilon_end - agent.epsilon)


def greedy(q: Float[Array, '*b a']) -> Int[Array, '*b']:
    """The best action."""
    return jnp.argmax(q, -1).astype(jnp.int32)


def explore(
    q: Float[Array, 'n a'], epsilon: Float[Array, ''] | float, keys: Key[Array, 'n']
) -> Int[Array, 'n']:
    """The best action, or with probability epsilon any of them."""

    def draw(key):
        which, any_ = jax.random.split(key)
        return jax.random.uniform(which) < epsilon, jax.random.randint(any_, (), 0, q.shape[-1])

    random, action = jax.vmap(draw)(keys)
    return jnp.where(random, action, greedy(q))


def collect(
    envs: Environments,
    network: Network,
    agent: DQN,
    params: PyTree[Array],
    actors: Actors,
    replay: Replay,
    key: Key[Array, ''],
    epsilon: Float[Array, ''],
) -> tuple[Actors, Replay, Finished]:
    """`agent.steps` steps in every environment, added to the replay."""

    def tick(now, key):
        actors, replay = now
        keys = jax.vmap(jax.random.split)(across.keys(key, len(actors.start)))
        action = explore(network(params, actors.observation), epsilon, keys[:, 0])
        result = envs.step(keys[:, 1], actors.state, action)
        replay = memory.add(
            replay,
            Transition(
                observation=actors.observation,
                action=action,
                reward=result.reward,
                terminated=result.terminated,
                truncated=result.truncated,
                final=result.final,
            ),
        )
        actors, ended = advance(actors, result, actors.carry)
        return (actors, replay), ended

    keys = jax.random.split(key, agent.steps)
    (actors, replay), ended = jax.lax.scan(tick, (actors, replay), keys)
    return actors, replay, finished(ended)


# Learning.


def values(
    target: Float[Array, 'b a'], online: Float[Array, 'b a'] | None = None
) -> Float[Array, 'b']:
    """What states are worth: the target's best action, or what the target thinks of the action
    that `online` finds best, since a maximum over noisy numbers is too large on average."""
    best = greedy(target if online is None else online)
    return jnp.take_along_axis(target, best[:, None], -1)[:, 0]


def targets(
    agent: DQN, network: Network, params: PyTree[Array], target: PyTree[Array], sample: Sample
) -> Float[Array, 'b']:
    """y = r + discount Q_target(s', a*), of which no gradient is taken."""
    online = network(params, sample.following) if agent.double else None
    following = values(network(target, sample.following), online)
    return jax.lax.stop_gradient(sample.reward + sample.discount * following)


def loss(
    params: PyTree[Array], target: PyTree[Array], agent: DQN, network: Network, sample: Sample
) -> tuple[Float[Array, ''], dict[str, Float[Array, '']]]:
    """The mean Huber loss of the actions that were taken."""
    y = targets(agent, network, params, target, sample)
    q = network(params, sample.observation)
    # A product with a mask, since the gradient of a gather is a scatter.
    taken = sample.action[:, None] == jnp.arange(q.shape[-1])
    chosen = jnp.where(taken, q, 0.0).sum(-1)
    total = (sample.weight * optax.huber_loss(chosen, y, delta=agent.delta)).mean()
    return total, {'loss': total, 'q_mean': chosen.mean()}


def follow(agent: DQN, student: Student, learner: Learner) -> Student:
    """The student after an update; every `target_every` updates its target comes closer."""
    updates = student.updates + 1
    rate = jnp.where(updates % agent.target_every == 0, agent.target_rate, 0.0)
    target = optax.incremental_update(learner.params, student.target, rate)
    return Student(learner, target, updates)


def learn(
    agent: DQN,
    optimizer: optax.GradientTransformation,
    network: Network,
    student: Student,
    replay: Replay,
    key: Key[Array, ''],
) -> tuple[Student, dict[str, Float[Array, '']]]:
    """`agent.updates` minibatches; with the means of what they report."""
    n = len(replay.written)
    each = agent.batch // (n * across.size())

    def update(student, key):
        keys = across.keys(key, n)
        sample = memory.sample(replay, keys, each, agent.discount, agent.lookahead)
        learner = student.learner
        grads, metrics = jax.grad(loss, has_aux=True)(
            learner.params, student.target, agent, network, sample
        )
        learner, norm = descend(optimizer, learner, grads)
        return follow(agent, student, learner), {**metrics, 'grad_norm': norm}

    student, metrics = jax.lax.scan(update, student, jax.random.split(key, agent.updates))
    return student, across.mean(jax.tree.map(jnp.mean, metrics))


def learn_if(ready: Bool[Array, ''], agent, optimizer, network, student, replay, key):
    """`learn` where `ready`; before, the same student, and zeros to report."""

    def study(student):
        return learn(agent, optimizer, network, student, replay, key)

    def wait(student):
        shapes = jax.eval_shape(study, student)[1]
        return student, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return jax.lax.cond(ready, study, wait, student)
