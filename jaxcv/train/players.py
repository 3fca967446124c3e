"""Two players in one training step: a generator, and a discriminator that judges what it makes.

    make(params, aux, batch, keys) -> (made, aux)                       the generator at work
    generator(params, made, batch, keys, rival, step) -> (scalar, metrics)
    discriminator(params, aux, made, batch, keys, step) -> (scalar, aux, metrics)

`made` is any tree; the generator's loss has its gradient, the discriminator's does not. `rival` is
the discriminator, without a gradient; `params` beside `made` serve penalties on them. `step` counts
the moves that this player has made. Everything else is as in `jaxcv.train.update`, whose steps
these are: accumulation, mixed precision, the mean over devices.

Who moves when is the `order` of a round:

  together        both from where they are, after the same `made`, which is made once
  discriminator   it first; then the generator, against the discriminator that has moved
  generator       it first; then the discriminator, on what the generator makes now

In a round the discriminator moves `turns` times, each time on its part of the batch, and the
generator once, on one of these parts.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.errors import UserError, choose
from jaxcv.train.update import (
    PRECISIONS,
    Average,
    Params,
    TrainState,
    Update,
    cast,
    parts_of,
    update,
)

ORDERS = ('together', 'discriminator', 'generator')
Metrics = dict[str, Float[Array, '']]


class Rival(NamedTuple):
    params: Params
    aux: PyTree[Array]


@struct.dataclass
class Players:
    """What both carry from round to round. Only the generator's parameters are averaged."""

    generator: TrainState
    discriminator: TrainState
    rounds: Int[Array, '']

    def eval_params(self) -> Params:
        """The generator's parameters to judge."""
        return self.generator.eval_params()


class Game(NamedTuple):
    """The three functions that the module's docstring names."""

    make: Callable
    generator: Callable
    discriminator: Callable


def play(
    game: Game,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation],
    *,
    order: str = 'together',
    turns: int = 1,
    fresh: bool = False,
    accumulate: int = 1,
    precision: str = 'float32',
    ema: float = 0.0,
) -> Update:
    """`init((generator's params, discriminator's), (their aux)) -> Players` and
    `step(Players, batch, key) -> (Players, metrics)`, a round.

    optimizers: the generator's, the discriminator's; schedules count the moves of each.
    fresh: where they move one after the other, the generator makes what it is judged for with keys
      of its own. Otherwise its keys are those of the discriminator's turn on the same part of the
      batch: with the discriminator first, both see the very same.
    accumulate, precision, ema: as in `update`; the average is of the generator.
    Metrics are named 'generator/...' and 'discriminator/...', the latter means over its turns.
    """
    choose(order, ORDERS, 'the order of the players')
    compute = PRECISIONS[choose(precision, PRECISIONS, 'precision')]
    shared = {'accumulate': accumulate, 'precision': precision}

    def init(params: tuple[Params, Params], aux: tuple[PyTree, PyTree] = ({}, {})) -> Players:
        first, second = (
            TrainState(p, a, optimizer.init(p))
            for p, a, optimizer in zip(params, aux, optimizers, strict=True)
        )
        average = Average.start(params[0]) if ema else None
        return Players(first.replace(average=average), second, jnp.zeros((), jnp.int32))

    def generate(state: Players, batch, key):
        rival = Rival(cast(state.discriminator.params, compute), state.discriminator.aux)
        loss = generator_loss(game, rival, state.rounds)
        own, metrics = update(loss, optimizers[0], ema=ema, **shared).step(
            state.generator, batch, key
        )
        return state.replace(generator=own), named('generator', metrics)

    def discriminate(state: Players, parts, keys, steps):
        made_by = Rival(cast(state.generator.params, compute), state.generator.aux)

        def turn(own, inputs):
            batch, key, step = inputs
            loss = discriminator_loss(game, made_by, step)
            return update(loss, optimizers[1], **shared).step(own, batch, key)

        own, metrics = jax.lax.scan(turn, state.discriminator, (parts, keys, steps))
        metrics = jax.tree.map(lambda x: x.mean(0), metrics)
        return state.replace(discriminator=own), named('discriminator', metrics)

    def move_both(state: Players, batch, key, step):
        states = state.generator, state.discriminator
        loss = both_losses(game, state.rounds, step)
        params, aux, opt = (tuple(getattr(s, field) for s in states) for field in FIELDS)
        joint = TrainState(params, aux, (opt, None))
        joint, metrics = update(loss, paired(optimizers), **shared).step(joint, batch, key)
        opt, norms = joint.opt
        own, other = (
            s.replace(params=p, aux=a, opt=o)
            for s, p, a, o in zip(states, joint.params, joint.aux, opt, strict=True)
        )
        if ema:
            own = own.replace(average=own.average.add(own.params, ema))
        del metrics['loss'], metrics['grad_norm']  # those of the sum mean nothing
        return state.replace(generator=own, discriminator=other), metrics | norms

    def step(state: Players, batch, key: Key[Array, '']):
        size = jax.tree.leaves(batch)[0].shape[0]
        if size % turns:
            raise UserError(
                f'{size} samples on a device for {turns} turns of the discriminator; '
                f'the turns must divide them'
            )
        parts = jax.tree.map(lambda x: parts_of(x, turns), batch)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(turns))
        steps = state.rounds * turns + jnp.arange(turns)
        inputs = parts, keys, steps
        which = 0 if order == 'generator' else -1
        mine, own_key, last = at(inputs, which)
        if fresh:
            own_key = jax.random.fold_in(key, turns)
        metrics = {}
        if order == 'generator':
            state, metrics = generate(state, mine, own_key)
        before = at(inputs, slice(-1)) if order == 'together' else inputs
        if turns > 1 or order != 'together':
            state, found = discriminate(state, *before)
            metrics |= found
        if order == 'discriminator':
            state, found = generate(state, mine, own_key)
            metrics |= found
        elif order == 'together':
            state, found = move_both(state, mine, keys[-1], last)
            metrics = joined(metrics, found, turns)
        return state.replace(rounds=state.rounds + 1), metrics

    return Update(init, step)


FIELDS = ('params', 'aux', 'opt')


def generator_loss(game: Game, rival: Rival, step):
    """As `update` takes it."""

    def loss(params, aux, batch, keys):
        keys = streams(keys)
        made, aux = game.make(params, aux, batch, keys[:, 0])
        scalar, metrics = game.generator(params, made, batch, keys[:, 1], rival, step)
        return scalar, aux, metrics

    return loss


def discriminator_loss(game: Game, made_by: Rival, step):
    def loss(params, aux, batch, keys):
        keys = streams(keys)
        made, _ = game.make(made_by.params, made_by.aux, batch, keys[:, 0])
        made = jax.lax.stop_gradient(made)
        return game.discriminator(params, aux, made, batch, keys[:, 2], step)

    return loss


def both_losses(game: Game, step, discriminator_step):
    """The sum, of which either player's gradient is that of its own loss."""

    def loss(params, aux, batch, keys):
        keys = streams(keys)
        made, own_aux = game.make(params[0], aux[0], batch, keys[:, 0])
        rival = jax.lax.stop_gradient(Rival(params[1], aux[1]))
        own, metrics = game.generator(params[0], made, batch, keys[:, 1], rival, step)
        made = jax.lax.stop_gradient(made)
        other, other_aux, found = game.discriminator(
            params[1], aux[1], made, batch, keys[:, 2], discriminator_step
        )
        metrics = named('generator', {**metrics, 'loss': own})
        metrics |= named('discriminator', {**found, 'loss': other})
        return own + other, (own_aux, other_aux), metrics

    return loss


def paired(optimizers) -> optax.GradientTransformation:
    """One optimizer for each of two trees. Its state also holds the norms of their gradients."""

    def init(params):
        return tuple(o.init(p) for o, p in zip(optimizers, params, strict=True)), None

    def move(grads, state, params):
        moved = [
            o.update(g, s, p)
            for o, g, s, p in zip(optimizers, grads, state[0], params, strict=True)
        ]
        updates, states = zip(*moved, strict=True)
        names = ('generator/grad_norm', 'discriminator/grad_norm')
        norms = dict(zip(names, map(optax.tree.norm, grads), strict=True))
        return updates, (states, norms)

    return optax.GradientTransformation(init, move)


def streams(keys: Key[Array, 'b']) -> Key[Array, 'b 3']:
    """Keys for what is made, and for the two losses."""
    return jax.vmap(lambda key: jax.random.split(key, 3))(keys)


def named(player: str, metrics: Metrics) -> Metrics:
    return {f'{player}/{name}': value for name, value in metrics.items()}


def joined(earlier: Metrics, last: Metrics, turns: int) -> Metrics:
    """The mean over all turns, where `earlier` is that over all but the last."""
    return {
        name: value + (earlier[name] - value) * (turns - 1) / turns if name in earlier else value
        for name, value in last.items()
    }


def at(tree: PyTree[Array], index) -> PyTree[Array]:
    return jax.tree.map(lambda x: x[index], tree)
