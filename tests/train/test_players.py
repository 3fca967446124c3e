"""Games whose trajectories are known, and the same steps in every layout."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.train import players, update

RATE = 0.1
ORDERS = players.ORDERS


def bilinear(counted=None):
    """The generator at x minimizes x y, the discriminator at y minimizes -x y."""

    def make(params, aux, batch, keys):
        if counted is not None:
            counted.append(1)
        return params * jnp.ones(len(batch)), aux

    def generator(params, made, batch, keys, rival, step):
        return (made * rival.params).mean(), {'step': step.astype(jnp.float32)}

    def discriminator(params, aux, made, batch, keys, step):
        return -(made * params).mean(), aux, {'step': step.astype(jnp.float32)}

    return players.Game(make, generator, discriminator)


def sgd():
    return optax.sgd(RATE), optax.sgd(RATE)


def trajectory(rounds, batch=4, **options):
    """[rounds + 1, 2] and the metrics of the last round."""
    training = players.play(bilinear(), sgd(), **options)
    state = training.init((jnp.float32(1.0), jnp.float32(0.5)))
    move, found = jax.jit(training.step), [(1.0, 0.5)]
    for i in range(rounds):
        state, metrics = move(state, jnp.zeros(batch), jax.random.key(i))
        found.append((float(state.generator.params), float(state.discriminator.params)))
    return np.array(found), metrics, state


X, Y = np.array([[1, -RATE], [0, 1]]), np.array([[1, 0], [RATE, 1]])  # one player's move
BOTH = X + Y - np.eye(2)
ROUNDS = {
    ('together', 1): BOTH,
    ('discriminator', 1): X @ Y,
    ('generator', 1): Y @ X,
    ('together', 3): BOTH @ Y @ Y,
    ('discriminator', 3): X @ Y @ Y @ Y,
    ('generator', 3): Y @ Y @ Y @ X,
}


@pytest.mark.parametrize('order,turns', ROUNDS)
def test_rounds_of_a_bilinear_game(order, turns):
    """Products of the matrices of single moves. One after the other they keep an area, and the
    trajectory its size; together each round multiplies the distance by sqrt(1 + rate^2)."""
    found, metrics, _ = trajectory(8, batch=6, order=order, turns=turns)
    wanted = [np.linalg.matrix_power(ROUNDS[order, turns], i) @ found[0] for i in range(9)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    if (order, turns) == ('together', 1):
        size = np.linalg.norm(found, axis=1)
        np.testing.assert_allclose(size[1:] / size[:-1], np.sqrt(1 + RATE**2), rtol=1e-5)
    assert metrics['generator/step'] == 7
    assert metrics['discriminator/step'] == 7 * turns + (turns - 1) / 2


@pytest.mark.parametrize('order', ORDERS)
def test_metrics_are_each_players(order):
    found, metrics, _ = trajectory(1, order=order)
    x, y = found[0]
    seen = {
        'together': (x, y, x, y),  # what each moved from: the generator, then the discriminator
        'discriminator': (x, found[1][1], x, y),
        'generator': (x, y, found[1][0], y),
    }[order]
    assert set(metrics) == {
        f'{player}/{name}'
        for player in ('generator', 'discriminator')
        for name in ('loss', 'grad_norm', 'step')
    }
    np.testing.assert_allclose(metrics['generator/loss'], seen[0] * seen[1], rtol=1e-5)
    np.testing.assert_allclose(metrics['discriminator/loss'], -seen[2] * seen[3], rtol=1e-5)
    np.testing.assert_allclose(metrics['generator/grad_norm'], abs(seen[1]), rtol=1e-5)
    np.testing.assert_allclose(metrics['discriminator/grad_norm'], abs(seen[2]), rtol=1e-5)


@pytest.mark.parametrize('order', ORDERS)
def test_the_average_is_of_the_generator(order):
    found, _, state = trajectory(5, order=order, ema=0.9)
    weights = 0.9 ** np.arange(4, -1, -1.0)
    np.testing.assert_allclose(
        state.eval_params(), np.average(found[1:, 0], weights=weights), rtol=1e-5
    )
    assert state.discriminator.average is None


def test_together_makes_once():
    for order, times in (('together', 1), ('discriminator', 2), ('generator', 2)):
        counted = []
        training = players.play(bilinear(counted), sgd(), order=order)
        state = jax.eval_shape(training.init, (jnp.float32(1.0), jnp.float32(0.5)))
        jax.make_jaxpr(training.step)(state, jnp.zeros(4), jax.random.key(0))
        assert len(counted) <= times + (order != 'together'), order  # scan may trace once more


def noisy():
    """Makes noise; losses tell which noise each player saw."""

    def make(params, aux, batch, keys):
        return params + jax.vmap(jax.random.normal)(keys), aux

    def generator(params, made, batch, keys, rival, step):
        return made.mean() * 0, {'seen': made.mean()}

    def discriminator(params, aux, made, batch, keys, step):
        return made.mean() * params, aux, {'seen': made.mean()}

    return players.Game(make, generator, discriminator)


@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('fresh', [False, True])
def test_who_sees_what(order, fresh):
    training = players.play(noisy(), sgd(), order=order, fresh=fresh)
    state = training.init((jnp.float32(0.0), jnp.float32(0.0)))
    _, metrics = jax.jit(training.step)(state, jnp.zeros(4), jax.random.key(0))
    same = metrics['generator/seen'] == metrics['discriminator/seen']
    assert same == (order == 'together' or not fresh)


def test_turns_see_parts_of_the_batch():
    """With three turns, samples 0 3 6, 1 4 7, 2 5 8; the generator those of the last or first."""

    def make(params, aux, batch, keys):
        return batch + 0 * params, aux

    def generator(params, made, batch, keys, rival, step):
        return 0 * params, {'seen': made.mean()}

    def discriminator(params, aux, made, batch, keys, step):
        return 0 * params, aux, {'seen': made.mean()}

    for order, wanted in (('discriminator', 5), ('generator', 3), ('together', 5)):
        training = players.play(
            players.Game(make, generator, discriminator), sgd(), order=order, turns=3
        )
        state = training.init((jnp.float32(0.0), jnp.float32(0.0)))
        _, metrics = jax.jit(training.step)(state, jnp.arange(9.0), jax.random.key(0))
        np.testing.assert_allclose(metrics['generator/seen'], wanted, rtol=1e-6)
        np.testing.assert_allclose(metrics['discriminator/seen'], 4, rtol=1e-6)
    with pytest.raises(UserError, match='9 samples on a device for 2 turns'):
        players.play(bilinear(), sgd(), turns=2).step(state, jnp.arange(9.0), jax.random.key(0))
    with pytest.raises(UserError, match='the order of the players'):
        players.play(bilinear(), sgd(), order='both')


def lines():
    """A generator that moves points and keeps their mean, a discriminator of one hidden layer."""

    def judge(params, x):
        return jnp.tanh(x @ params['in']) @ params['out']

    def make(params, aux, batch, keys):
        noise = jax.vmap(lambda key: jax.random.normal(key, (2,), batch.dtype))(keys)
        made = noise @ params['map'] + params['shift']
        return made, {'mean': 0.9 * aux['mean'] + 0.1 * made.mean(0)}

    def generator(params, made, batch, keys, rival, step):
        return jax.nn.softplus(-judge(rival.params, made)).mean(), {'mean': made.mean()}

    def discriminator(params, aux, made, batch, keys, step):
        real, fake = judge(params, batch), judge(params, made)
        value = jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()
        return value, {'real': aux['real'] + real.mean()}, {'gap': (real - fake).mean()}

    return players.Game(make, generator, discriminator)


def started(training):
    draw = np.random.default_rng(0).normal
    own = {'map': draw(size=(2, 2)), 'shift': np.zeros(2)}
    theirs = {'in': draw(size=(2, 8)), 'out': draw(size=8)}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (own, theirs))
    return training.init(params, ({'mean': jnp.zeros(2)}, {'real': jnp.zeros(())}))


BATCH = jnp.asarray(np.random.default_rng(1).normal(size=(32, 2)) + [3, 0], jnp.float32)
ADAMS = optax.adam(1e-2), optax.adam(1e-2)


def rounds(devices, count=4, **options):
    training = players.play(lines(), ADAMS, **options)
    step = jax.pmap(
        training.step, across.DATA, in_axes=(None, 0, None), out_axes=None,
        devices=jax.devices()[:devices],
    )  # fmt: skip
    state, found = started(training), []
    for i in range(count):
        state, metrics = step(state, BATCH.reshape(devices, -1, 2), jax.random.key(i))
        found.append(jax.device_get(metrics))
    return jax.device_get(state), found


@pytest.mark.parametrize(
    'options',
    [
        {'accumulate': 2, 'ema': 0.9, 'turns': 2},
        {'order': 'discriminator', 'turns': 2, 'accumulate': 2},
        {'order': 'generator', 'fresh': True},
    ],
    ids=lambda options: options.get('order', 'together'),
)
def test_layouts_agree(options):
    """One device, and eight with four samples each: the same metrics, the same state."""
    alone, together = rounds(1, **options), rounds(8, **options)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('precision,tolerance', [('float32', 1e-5), ('bfloat16', 2e-2)])
def test_together_is_two_ordinary_steps(precision, tolerance):
    """Of `update`, from the same point."""
    game, options = lines(), {'accumulate': 2, 'precision': precision}
    training = players.play(game, ADAMS, **options)
    state = started(training)
    after, _ = jax.jit(training.step)(state, BATCH, jax.random.key(0))
    both = state.generator, state.discriminator
    dtype = jnp.dtype(precision)
    maker, rival = (
        players.Rival(jax.tree.map(lambda x: x.astype(dtype), s.params), s.aux) for s in both
    )
    losses = (
        players.generator_loss(game, rival, state.rounds),
        players.discriminator_loss(game, maker, state.rounds),
    )
    key = jax.random.fold_in(jax.random.key(0), 0)
    for loss, before, found in zip(
        losses, both, (after.generator, after.discriminator), strict=True
    ):
        wanted, _ = jax.jit(update(loss, ADAMS[0], **options).step)(before, BATCH, key)
        wanted, found = (jax.tree.leaves((s.opt[0].mu, s.aux)) for s in (wanted, found))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def test_a_generator_finds_the_data():
    """N(0, 1) is moved to N((3, 0), 1) by alternating steps."""
    training = players.play(
        lines(), (optax.adam(1e-2, 0.5), optax.adam(2e-2, 0.5)), order='discriminator', ema=0.99
    )
    key = jax.random.key(1)

    def step(state, i):
        batch = jax.random.normal(jax.random.fold_in(key, i), (256, 2)) + jnp.array([3.0, 0.0])
        return training.step(state, batch, jax.random.fold_in(key, 10_000 + i))

    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, jnp.arange(1500)))(started(training))
    np.testing.assert_allclose(state.eval_params()['shift'], [3, 0], atol=0.3)
