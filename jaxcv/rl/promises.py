"""What the values of a greedy policy promise, and what comes of it.

A maximum over noisy estimates is too large on average, and bootstrapping hands that on: comparing
the values with the returns that follow shows by how much (van Hasselt et al. 2016, figure 3).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxcv.rl.advantages import gae
from jaxcv.rl.envs.vector import Environments
from jaxcv.viz import Picture, figure, new_figure


class Promises(NamedTuple):
    """The first episodes of n environments."""

    values: Float[Array, 't n']  # of the best action
    returns: Float[Array, 't n']  # discounted, from then on; the value where an episode is cut off
    running: Bool[Array, 't n']


def promises(
    envs: Environments,
    q: Callable[[Array], Float[Array, 'n a']],
    keys: Key[Array, 'n'],
    discount: Float[Array, ''] | float,
    steps: int,
) -> Promises:
    """Acts greedily on `q` for `steps` steps in every environment."""
    observation, state = envs.reset(jax.vmap(lambda key: jax.random.fold_in(key, steps))(keys))

    def tick(now, step):
        observation, state, running = now
        best = q(observation)
        action = jnp.argmax(best, -1).astype(jnp.int32)
        step_keys = jax.vmap(lambda key: jax.random.fold_in(key, step))(keys)
        result = envs.step(step_keys, state, action)
        done = result.terminated | result.truncated
        following = q(result.final).max(-1)
        cut = result.truncated | (step == steps - 1)
        seen = best.max(-1), following, result.reward, result.terminated, cut, running
        return (result.observation, result.state, running & ~done), seen

    first = observation, state, jnp.ones(len(keys), bool)
    _, seen = jax.lax.scan(tick, first, jnp.arange(steps))
    values, following, rewards, terminated, truncated, running = seen
    gain = gae(rewards, values, following, terminated, truncated, discount, 1.0)
    return Promises(values, values + gain, running)


def excess(promised: Promises) -> Float[Array, '']:
    """By how much the values are too large, on average."""
    return (promised.values - promised.returns).mean(where=promised.running)


def picture(promised: Promises, shown: int = 3) -> Picture:
    """Promised and realized values along some episodes."""
    fig = new_figure(4.0 * shown, 3.0)
    for i, axes in enumerate(fig.subplots(1, shown, sharey=True, squeeze=False)[0]):
        length = int(np.asarray(promised.running)[:, i].sum())
        axes.plot(np.asarray(promised.values)[:length, i], color='#33658a', label='value')
        axes.plot(np.asarray(promised.returns)[:length, i], color='#b3261e', label='what followed')
        axes.set(xlabel='step', title=f'episode {i + 1}')
        axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure(fig, 'the value of the best action, and the discounted return that followed')
