"""Simulators that run on the host, behind the same record as pure environments.

    envs = host('CartPole-v1')
    observation, state = envs.reset(keys)          # inside jit, scan, pmap and vmap
    pending = envs.send(keys, state, action)       # returns at once
    result = envs.receive(pending)                 # waits

`send` and `receive` are callbacks of the program, ordered by what they pass on: whatever does not
depend on the result is computed while worker processes simulate.

A simulator cannot be stored: a checkpoint holds the last observation and a claim on the simulator.
Where there is none (after a restart), the first step ignores its action, is truncated with reward
0 and the stored observation as `final`, and begins a new episode. So a resumed run learns from
nothing false, but is not the run that was not interrupted.
"""

import difflib
import itertools
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jax.experimental import io_callback
from jaxtyping import Array, Int, PyTree, UInt8

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.rl.envs.environment import Box, Discrete, MultiDiscrete, Space
from jaxcv.rl.envs.pool import BLOCK, Pool
from jaxcv.rl.envs.vector import Environments, Result, where
from jaxcv.train import machine

# Simulators that take less time than a message to another process.
LIGHT = ('gymnasium.envs.classic_control', 'gymnasium.envs.toy_text')


class Claim(NamedTuple):
    """A claim on n simulators, and what was seen last; every leaf leads with n."""

    slot: Int[Array, 'n']  # which simulator
    seed: Int[Array, 'n']  # of its first episode
    turn: Int[Array, 'n']  # steps since; also orders the callbacks
    observation: Array
    frame: UInt8[Array, 'n h w 3'] | None  # a picture, where one was asked for


def host(
    name: str,
    *,
    workers: int | None = None,
    stack: int = 1,
    render: bool = False,
    patience: float = 60.0,
    **fields,
) -> Environments:
    """Environments that gymnasium calls `name`; `fields` go to `gymnasium.make`. The other
    arguments are those of `simulators`, but classic control and toy text have no workers unless
    asked for: they are 2 to 4 times faster without. `module:Name-v0` imports the module first."""
    gymnasium = library()
    try:
        spec = gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError) as error:
        near = difflib.get_close_matches(name, gymnasium.registry, n=5, cutoff=0.4)
        raise UserError(
            f'the gymnasium environment is {name!r}, which does not exist here'
            + (f'; the nearest are {", ".join(near)}' if near else f' ({error})')
        ) from error
    if workers is None and str(spec.entry_point).startswith(LIGHT):
        workers = 0
    if render:
        fields = fields | {'render_mode': 'rgb_array'}
    return simulators(
        name,
        partial(opened, spec, fields),
        workers=workers,
        stack=stack,
        render=render,
        patience=patience,
    )


def simulators(
    name: str,
    make: Callable[[], Any],
    *,
    workers: int | None = None,
    stack: int = 1,
    render: bool = False,
    patience: float = 60.0,
) -> Environments:
    """As many simulators as there are keys; `make` gives one, with gymnasium's `reset`, `step`,
    `render` and spaces, and can be pickled.

    `workers`   processes that step them, one per core unless given; 0 steps them in this process,
                without overlap, which is faster where a step takes less than about 100 us
    `stack`     observations side by side along the last axis, oldest first; the first one of an
                episode fills the places before it
    `render`    the state carries a picture, which costs memory and time: for films
    `patience`  seconds after which a silent worker is an error

    Observations of 64 bits become 32. Actions reach the simulator as they are, beyond its bounds
    too: clip them before. Every program that resets has simulators of its own; the seed of their
    first episodes comes from the keys, later episodes continue their generators.
    """
    observation, action, frame = probed(name, make, render)
    fields = {'observation': observation, 'final': observation, 'frame': frame}
    columns = [(field, box.dtype, box.shape) for field, box in fields.items() if box]
    columns += [('reward', np.float32), ('terminated', bool), ('truncated', bool)]
    workers = machine.cores() if workers is None else workers
    if workers:
        portable(name, make)
    pool = Pool(name, make, np.dtype(columns), workers, patience)
    reset, send, receive = functions(pool, observation, frame, stack)
    if stack > 1:
        observation = stacked(name, observation, stack)
    return Environments(
        name=name,
        observation=observation,
        action=action,
        reset=reset,
        send=send,
        receive=receive,
        groups=2 if workers else 1,
        after=after,
        render=(lambda state: state.frame) if render else None,
    )


def functions(pool: Pool, observation: Space, frame: Box | None, stack: int):
    """`reset`, `send` and `receive`. Operands of callbacks are kept small: jax copies large ones
    on threads that may all be waiting in callbacks. What the state saw stays on the device."""
    blocks = itertools.count()

    def blank(n):
        seen = {'observation': observation} | ({'frame': frame} if frame else {})
        return {
            field: jax.ShapeDtypeStruct((n, *space.shape), space.dtype)
            for field, space in seen.items()
        }

    @jax.custom_batching.custom_vmap
    def begin(seed):
        n = len(seed)
        slot = next(blocks) % (2**31 // BLOCK) * BLOCK + across.slots(n)

        def callback(slot, seed):
            seen = pool.begin(np.asarray(slot), np.asarray(seed))
            return {field: seen[field] for field in blank(n)}

        return slot, io_callback(callback, blank(n), slot, seed)

    @begin.def_vmap
    def begin_many(size, batched, seed):
        """Many vectors are one longer vector: no two of them share a simulator."""
        both = begin(seed.reshape(-1))
        both = jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:]), both)
        return both, jax.tree.map(lambda _: True, both)

    def reset(keys):
        seed = jax.vmap(lambda key: jax.random.bits(key, dtype=jnp.uint32) >> 1)(keys)
        seed = seed.astype(jnp.int32)
        slot, seen = begin(seed)
        shown = (
            jnp.concatenate([seen['observation']] * stack, -1) if stack > 1 else seen['observation']
        )
        return shown, Claim(slot, seed, jnp.zeros_like(slot), shown, seen.get('frame'))

    def send(keys, state, action):
        def callback(*operands):
            pool.send(*map(np.asarray, operands))
            return np.asarray(operands[2]) + 1

        turn = io_callback(
            callback, jax.typeof(state.turn), state.slot, state.seed, state.turn, action
        )
        return state._replace(turn=turn)

    def receive(pending):
        n = len(pending.slot)
        flag, number = (jax.ShapeDtypeStruct((n,), dtype) for dtype in (bool, jnp.float32))
        kinds = blank(n) | {'final': blank(n)['observation'], 'reward': number}
        kinds |= {'terminated': flag, 'truncated': flag, 'lost': flag}
        got = io_callback(
            lambda slot, turn: pool.receive(np.asarray(slot)), kinds, pending.slot, pending.turn
        )
        shown, final = got['observation'], got['final']
        if stack > 1:
            width = shown.shape[-1]
            done = got['terminated'] | got['truncated']
            final = jnp.concatenate([pending.observation[..., width:], final], -1)
            shown = where(done, jnp.concatenate([shown] * stack, -1), final)
        final = where(got['lost'], pending.observation, final)
        state = pending._replace(observation=shown, frame=got.get('frame'))
        return Result(shown, state, got['reward'], got['terminated'], got['truncated'], final)

    return reset, send, receive


def after(first: Claim, then: PyTree[Array]) -> PyTree[Array]:
    """`then`, unchanged, but no sooner than `first` has been sent.

    XLA runs a CPU program in an order of its own, which optimization barriers do not hold: it would
    wait for both groups and then act for both. A choice that it cannot foresee does hold it."""
    never = first.turn[0] < 0
    return jax.tree.map(lambda x: jnp.where(never, jnp.zeros_like(x), x), then)


def opened(spec, fields):
    """One simulator of gymnasium."""
    import gymnasium

    return gymnasium.make(spec, disable_env_checker=True, **fields)


def probed(name, make, render) -> tuple[Space, Space, Box | None]:
    """Spaces of observations, actions and pictures, from a simulator that is thrown away."""
    try:
        simulator = make()
        simulator.reset(seed=0)
        picture = np.asarray(simulator.render()) if render else None
        simulator.close()
    except Exception as error:
        raise UserError(f'{name} cannot be made: {" ".join(str(error).split())}') from error
    if render and (picture.ndim != 3 or picture.shape[-1] != 3):
        raise UserError(f'{name} does not render pictures [h w 3], so leave out `render`')
    return (
        translated(name, 'observation', simulator.observation_space),
        translated(name, 'action', simulator.action_space),
        Box(picture.shape, 0, 255, np.uint8) if render else None,
    )


def portable(name, make) -> None:
    """Worker processes must be able to import what makes a simulator."""
    try:
        pickle.dumps(make)
    except Exception as error:
        raise UserError(
            f'{name} cannot be sent to worker processes ({error}): define it in a module, or '
            'give workers=0'
        ) from error


def translated(name, what, theirs) -> Space:
    """A space of gymnasium as one of ours."""
    kind = type(theirs).__name__
    if kind == 'Discrete':
        return Discrete(int(theirs.n))
    if kind == 'MultiDiscrete' and theirs.nvec.ndim == 1:
        return MultiDiscrete(tuple(int(n) for n in theirs.nvec))
    if kind != 'Box':
        raise UserError(
            f'the {what} space of {name} is {theirs}, but must be Box, Discrete or a flat '
            'MultiDiscrete: wrap it with one of gymnasium.wrappers'
        )
    dtype = np.uint8 if theirs.dtype == np.uint8 else np.float32
    low, high, limit = np.min(theirs.low), np.max(theirs.high), np.finfo(np.float32).max
    low = float(low) if low > -limit else -np.inf
    return Box(tuple(theirs.shape), low, float(high) if high < limit else np.inf, dtype)


def stacked(name, space, count) -> Box:
    """The space of `count` observations side by side."""
    if not isinstance(space, Box) or not space.shape:
        raise UserError(f'stack needs arrays to observe; {name} has {space}')
    return Box((*space.shape[:-1], count * space.shape[-1]), space.low, space.high, space.dtype)


def library():
    """The package, or a sentence that says how to get it."""
    try:
        import gymnasium
    except ImportError as error:
        raise UserError("gymnasium is not installed: pip install -e '.[rl]'") from error
    return gymnasium
