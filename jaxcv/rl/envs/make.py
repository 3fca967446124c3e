"""Environments by name, as a config spells them.

    environments(
        'gymnax:CartPole-v1',
        params={'max_steps_in_episode': 200},
        wrappers={'pixels': {'size': 64}, 'gray': {}, 'frame_stack': {'count': 4}},
    )

`gymnax:` and `navix:` are pure; `gymnasium:` and `ale:` run on the host. A bare name is gymnax's.
"""

import inspect
from collections.abc import Mapping

from jaxcv.errors import UserError, choose
from jaxcv.rl.envs import gymnax, navix, wrap
from jaxcv.rl.envs.atari import atari
from jaxcv.rl.envs.environment import Environment
from jaxcv.rl.envs.host import host
from jaxcv.rl.envs.vector import Environments, vectorize

PURE = {'gymnax': gymnax, 'navix': navix}
HOSTED = {'gymnasium': host, 'ale': atari}
# The innermost first. The order is fixed because a ConfigDict sorts its keys.
WRAPPERS = ('time_limit', 'scale_action', 'pixels', 'gray', 'resize', 'frame_stack')


def environments(
    name: str,
    params: Mapping | None = None,
    wrappers: Mapping[str, Mapping] | None = None,
) -> Environments:
    """Many environments called `name`, reset as their episodes end.

    `params` are fields of the environment; `wrappers` are functions of `jaxcv.rl.envs.wrap` with
    their arguments, applied in the order of WRAPPERS.
    """
    made = make(name, **(params or {}))
    if isinstance(made, Environment):
        return vectorize(wrapped(made, wrappers or {}))
    if wrappers:
        raise UserError(
            f'{name} runs on the host, where wrappers do not reach: leave out '
            f'{", ".join(wrappers)} and see the params of `jaxcv.rl.envs.host.host`'
        )
    return made


def environment(
    name: str,
    params: Mapping | None = None,
    wrappers: Mapping[str, Mapping] | None = None,
) -> Environment:
    """One pure environment, without automatic reset; arguments as in `environments`."""
    made = make(name, **(params or {}))
    if not isinstance(made, Environment):
        raise UserError(
            f'{name} runs on the host, but a pure environment is needed: one of '
            f'{", ".join(f"{kind}:..." for kind in PURE)}'
        )
    return wrapped(made, wrappers or {})


def make(name: str, **fields) -> Environment | Environments:
    """The environment of that name: pure where it can be, otherwise many on the host."""
    kind, _, rest = name.partition(':') if ':' in name else ('gymnax', '', name)
    choose(kind, (*PURE, *HOSTED), f'the kind of the environment {name!r}')
    if kind in PURE:
        return getattr(PURE[kind], kind)(rest, **fields)
    return HOSTED[kind](rest, **fields)


def wrapped(env: Environment, wrappers: Mapping[str, Mapping]) -> Environment:
    """`env` in its wrappers."""
    for name in wrappers:
        choose(name, WRAPPERS, 'a wrapper of the environment')
    for name in WRAPPERS:
        if name not in wrappers:
            continue
        wrapper, fields = getattr(wrap, name), dict(wrappers[name] or {})
        try:
            inspect.signature(wrapper).bind(env, **fields)
        except TypeError as error:
            wanted = ', '.join(list(inspect.signature(wrapper).parameters)[1:]) or 'nothing'
            raise UserError(f'the wrapper {name} got {fields}, but takes {wanted}') from error
        env = wrapper(env, **fields)
    return env


def names() -> list[str]:
    """The pure environments that can be made here; the host has others."""
    found = []
    for kind, module in PURE.items():
        try:
            found += [f'{kind}:{name}' for name in module.names()]
        except UserError:  # the package is not installed
            continue
    return found
