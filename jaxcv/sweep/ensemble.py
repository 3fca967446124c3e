"""Seeds of one experiment as one program: `ensemble(experiment, seeds)` is an experiment too.

Every member is the run of its seed alone: it starts from that run's keys, draws that run's
batches and steps with that run's keys. The state is {'members': the states, stacked, 'step': a
counter}; what a member reports stands behind its name, as in 'seed3/loss'.
"""

import re
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Key, PyTree

from jaxcv.data.batches import Held, Stream
from jaxcv.errors import UserError
from jaxcv.train import paths, program
from jaxcv.train.config import settings
from jaxcv.train.experiment import Experiment, Metrics, State


def ensemble(
    experiment: Experiment, seeds: Sequence[int], one_by_one: bool | None = None
) -> Experiment:
    """`experiment` for all `seeds` at once. The keys that the engine hands out are not used.

    one_by_one: whether members take their step in turn (`lax.map`) rather than by `vmap`. The
      default is to do so on a CPU, which small members already fill, and where XLA's grouped
      convolutions are many times slower than the same convolutions one after the other.
    """
    _possible(experiment)
    if one_by_one is None:
        one_by_one = jax.default_backend() == 'cpu'
    data = [jax.tree.map(jax.random.key_data, program.keys(seed)) for seed in seeds]
    data = jax.tree.map(lambda *xs: np.stack(xs), *data)  # constants on the host

    def keys() -> program.Keys:
        return jax.tree.map(jax.random.wrap_key_data, data)

    def init(key):
        # One after the other: QR, in orthogonal initializers, hangs under vmap on CPU.
        members = jax.lax.map(experiment.init, keys().init)
        over = axes(experiment, members)
        members = jax.tree.map(lambda x, axis: jnp.moveaxis(x, 0, axis), members, over)
        return {'members': members, 'step': jnp.zeros((), jnp.int32)}

    def step(state, batch, key):
        over = axes(experiment, state['members'])
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys().step, state['step'])
        every = _in_turn if one_by_one else _at_once
        members, metrics = every(experiment.step, over)(state['members'], batch, step_keys)
        scalars = [{name: x[i] for name, x in metrics.items()} for i in range(len(seeds))]
        return {'members': members, 'step': state['step'] + 1}, _named(seeds, scalars)

    def evaluate(state, key):
        return _named(seeds, [_evaluate(experiment, s, k) for s, k in each(state, 'evaluate')])

    def show(state, key):
        return _named(seeds, [experiment.show(s, k) for s, k in each(state, 'show')])

    def observe(state, metrics):
        members = [
            experiment.observe(member(experiment, state, i), of_seed(metrics, seed))
            for i, seed in enumerate(seeds)
        ]
        over = axes(experiment, state['members'])
        stacked = jax.tree.map(lambda axis, *xs: jnp.stack(xs, axis), over, *members)
        return {**state, 'members': stacked}

    def each(state, stream):
        for i, key in enumerate(getattr(keys(), stream)):
            yield member(experiment, state, i), key

    return Experiment(
        init=init,
        step=step,
        batches=_held(experiment.batches, keys),
        split=tuple(f'members/{pattern}' for pattern in experiment.split),
        evaluate=evaluate if experiment.evaluate else None,
        show=show if experiment.show else None,
        observe=observe if experiment.observe else None,
        version=experiment.version,
    )


def member(experiment: Experiment, state: State, index: int) -> State:
    """The state of one member of an ensemble of `experiment`."""
    members = state['members']
    return jax.tree.map(
        lambda x, axis: x[(slice(None),) * axis + (index,)], members, axes(experiment, members)
    )


def of_seed(named: Mapping[str, float], seed: int) -> dict[str, float]:
    """What one member reported, under bare names, and what all have in common."""
    own = f'seed{seed}/'
    return {
        name.removeprefix(own): value
        for name, value in named.items()
        if name.startswith(own) or not re.match(r'seed-?\d+/', name)
    }


def axes(experiment: Experiment, members: PyTree[Array]) -> PyTree[int]:
    """Where the stacked states have their member axis: first, but second in leaves that differ
    between devices, whose first axis is divided among them."""
    return jax.tree.map(int, paths.mask(experiment.split, members))


def allowed(config) -> None:
    """Refuses what members of one program cannot do each for itself."""
    train = settings(config)
    reasons = {
        'early_stop': 'they would stop at different steps',
        'keep_best': 'their best steps differ',
        'init_from': 'it names the leaves of one run',
        'adapt_every': 'their states would take different shapes',
    }
    for name, reason in reasons.items():
        if getattr(train, name):
            raise UserError(f'seeds cannot be one program with config.train.{name}: {reason}')
    if train.parallel != 'pmap':
        raise UserError(
            f"seeds can be one program with config.train.parallel = 'pmap', not {train.parallel!r}:"
            ' the rules of a mesh name the axes of one run'
        )


def _at_once(step, over):
    return jax.vmap(step, in_axes=(over, 0, 0), out_axes=(over, 0))


def _in_turn(step, over):
    def every(members, batch, keys):
        first = jax.tree.map(lambda x, axis: jnp.moveaxis(x, axis, 0), members, over)
        first, metrics = jax.lax.map(lambda given: step(*given), (first, batch, keys))
        return jax.tree.map(lambda x, axis: jnp.moveaxis(x, 0, axis), first, over), metrics

    return every


def _possible(experiment):
    if isinstance(experiment.batches, Stream):
        raise UserError(
            'seeds cannot be one program when the host reads the data: each would need a stream'
            ' of its own. Data that fits on the device can be shared; or run the seeds one by one'
        )
    if experiment.adapt:
        raise UserError('seeds cannot be one program when a state changes its shape on the way')


def _held(held, keys):
    if held is None:
        return None

    def sample(arrays, key, step, slots):
        return jax.vmap(lambda own: held.sample(arrays, own, step, slots))(keys().data)

    return Held(held.arrays, sample, held.batch_size)


def _evaluate(experiment, state: State, key: Key[Array, '']) -> Metrics:
    """All named evaluations, as the engine names them."""
    evaluations = experiment.evaluate
    if callable(evaluations):
        evaluations = {'': evaluations}
    return {
        f'{name}/{metric}' if name else metric: value
        for name, evaluation in evaluations.items()
        for metric, value in evaluation(state, key).items()
    }


def _named(seeds, parts):
    return {
        f'seed{seed}/{name}': value
        for seed, part in zip(seeds, parts, strict=True)
        for name, value in part.items()
    }
