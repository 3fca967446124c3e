"""Optimizers: first steps in closed form, decay and clipping exactly, torch over 20 steps."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train import muon
from jaxcv.train.optimize import NAMES, Optim, learning_rate, optimizer

G = np.array([[0.5, -2.0], [1.0, 3.0], [-0.1, 0.2]], np.float32)
W = np.array([[1.0, -1.0], [0.5, 0.0], [2.0, -3.0]], np.float32)


def tree(matrix=G):
    return {'net': {'kernel': jnp.array(matrix), 'bias': jnp.array(matrix[0])}}


def norm(tree):
    return np.sqrt(sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(tree)))


def first(optim, params=None, grads=None, steps=100):
    """The change of the parameters in the first step, and the state."""
    params, grads = params or tree(W), grads or tree()
    transform = optimizer(optim, steps)
    return transform.update(grads, transform.init(params), params)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('sgd', lambda g: g),
        ('momentum', lambda g: g),
        ('nesterov', lambda g: 1.9 * g),
        ('adagrad', np.sign),
        ('rmsprop', lambda g: np.sign(g) / np.sqrt(0.01)),
        ('adadelta', lambda g: g * np.sqrt(1e-6 / (0.1 * g**2 + 1e-6))),
        ('adam', np.sign),
        ('adamw', np.sign),
    ],
)
def test_first_step(name, expected):
    updates, _ = first(Optim(name=name, lr=0.1))
    np.testing.assert_allclose(updates['net']['kernel'], -0.1 * expected(G), rtol=1e-4)
    np.testing.assert_allclose(updates['net']['bias'], -0.1 * expected(G[0]), rtol=1e-4)


@pytest.mark.parametrize('name', ['sgd', 'adamw'])
def test_decay_is_added_to_matrices_only(name):
    optim = Optim(name=name, lr=0.1, weight_decay=0.5, l1=0.25)
    plain, _ = first(Optim(name=name, lr=0.1))
    updates, _ = first(optim)
    change = updates['net']['kernel'] - plain['net']['kernel']
    np.testing.assert_allclose(change, -0.1 * (0.5 * W + 0.25 * np.sign(W)), atol=1e-6)
    np.testing.assert_array_equal(updates['net']['bias'], plain['net']['bias'])


def test_adams_decay_goes_through_the_moments():
    updates, _ = first(Optim(name='adam', lr=0.1, weight_decay=10.0))
    np.testing.assert_allclose(updates['net']['kernel'], -0.1 * np.sign(G + 10 * W), rtol=1e-4)


def test_decay_patterns():
    updates, _ = first(Optim(name='sgd', lr=1.0, weight_decay=0.5, decay=('**/bias',)))
    np.testing.assert_allclose(updates['net']['bias'], -(G[0] + 0.5 * W[0]), rtol=1e-6)
    np.testing.assert_array_equal(updates['net']['kernel'], -G)
    with pytest.raises(UserError, match=r"optim.decay: pattern '\*\*/bais'.*net/bias"):
        first(Optim(weight_decay=0.5, decay=('**/bais',)))


def test_clip_by_value_is_exact():
    updates, _ = first(Optim(name='sgd', lr=1.0, clip_value=0.75))
    np.testing.assert_array_equal(updates['net']['kernel'], -np.clip(G, -0.75, 0.75))


def test_clip_by_global_norm():
    whole = np.sqrt((G**2).sum() + (G[0] ** 2).sum())
    updates, _ = first(Optim(name='sgd', lr=1.0, clip_norm=0.5))
    assert norm(updates) == pytest.approx(0.5, rel=1e-6)
    np.testing.assert_allclose(updates['net']['kernel'], -G * 0.5 / whole, rtol=1e-6)
    updates, _ = first(Optim(name='sgd', lr=1.0, clip_norm=100.0))
    np.testing.assert_array_equal(updates['net']['kernel'], -G)


def test_clipping_comes_before_decay():
    updates, _ = first(Optim(name='sgd', lr=1.0, clip_value=0.1, weight_decay=1.0))
    np.testing.assert_allclose(updates['net']['kernel'], -(np.clip(G, -0.1, 0.1) + W), rtol=1e-6)


@pytest.mark.parametrize('name', NAMES)
def test_a_quadratic_goes_down_and_the_rate_is_read(name):
    rates = {'sgd': 0.1, 'adagrad': 0.5, 'adadelta': 1.0}
    optim = Optim(name=name, lr=rates.get(name, 0.02), schedule='linear', end=0.5, beta2=0.9)
    transform = optimizer(optim, 40)
    params = tree(W)
    state = transform.init(params)
    start = norm(params)
    assert float(learning_rate(state)) == pytest.approx(optim.lr)

    @jax.jit
    def step(params, state):
        updates, state = transform.update(params, state, params)  # the gradient of |w|^2 / 2
        return optax.apply_updates(params, updates), state, learning_rate(state)

    for t in range(40):
        params, state, rate = step(params, state)
        assert float(rate) == pytest.approx(optim.lr * (1 - 0.5 * t / 40), rel=1e-5)
    assert norm(params) < start


def test_mistakes():
    with pytest.raises(UserError, match=r"optim.name is 'adamm'.*did you mean 'adam'"):
        optimizer(Optim(name='adamm'), 10)
    with pytest.raises(UserError, match=r'optim\.lr is -1'):
        optimizer(Optim(lr=-1.0), 10)


def network():
    return {
        'Dense_0': {'kernel': (16, 24), 'bias': (24,)},
        'Conv_0': {'kernel': (3, 3, 4, 32)},
        'Depthwise_0': {'kernel': (3, 3, 1, 32)},
        'attention': {'query': {'kernel': (16, 2, 8)}, 'out': {'kernel': (2, 8, 16)}},
        'embedding': {'embedding': (10, 16)},
        'head': {'kernel': (16, 10), 'bias': (10,)},
    }


def random(key):
    shapes = network()
    leaves, treedef = jax.tree.flatten(shapes, is_leaf=lambda x: isinstance(x, tuple))
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, s) for k, s in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(treedef, drawn)


def test_muon_is_orthogonal_on_matrices_and_adam_elsewhere():
    params, grads = random(jax.random.key(0)), random(jax.random.key(1))
    found, _ = first(Optim(name='muon', lr=0.1), params, grads)
    adam, _ = first(Optim(name='adam', lr=0.1), params, grads)
    for where in ('Depthwise_0', 'embedding', 'head'):
        jax.tree.map(np.testing.assert_array_equal, found[where], adam[where])
    np.testing.assert_array_equal(found['Dense_0']['bias'], adam['Dense_0']['bias'])
    for update, grad, shape in (
        (found['Dense_0']['kernel'], grads['Dense_0']['kernel'], (16, 24)),
        (found['Conv_0']['kernel'], grads['Conv_0']['kernel'], (36, 32)),
        (found['attention']['query']['kernel'], grads['attention']['query']['kernel'], (16, 16)),
        (found['attention']['out']['kernel'], grads['attention']['out']['kernel'], (16, 16)),
    ):
        direction = -update.reshape(shape) / (0.1 * muon.RMS * np.sqrt(max(shape)))
        u, s, vt = np.linalg.svd(grad.reshape(shape), full_matrices=False)
        core = u.T @ direction @ vt.T  # diagonal in the gradient's singular vectors
        np.testing.assert_allclose(core, np.diag(np.diag(core)), atol=2e-3)
        ours = np.diag(core)[s > 0.05 * s.max()]  # five iterations do not lift the smallest
        assert ours.min() > 0.6 and ours.max() < 1.3


def test_orthogonalized_as_optax_has_it():
    """Wide and tall matrices, some of one shape."""
    from optax.contrib._muon import orthogonalize_via_newton_schulz as peer

    shapes = [(4, 9), (9, 4), (4, 9), (5, 5), (1, 7)]
    keys = jax.random.split(jax.random.key(0), len(shapes))
    matrices = [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]
    found = muon.orthogonalized(matrices, 1e-8)
    for matrix, direction in zip(matrices, found, strict=True):
        expected = peer(matrix, jnp.array(muon.QUINTIC))
        np.testing.assert_allclose(direction, expected, atol=1e-4)


def test_muon_looks_ahead_along_its_momentum():
    """The second direction is that of G2 + b (G2 + b G1), whatever its length."""
    params, first_grads, grads = (
        {'w': random(jax.random.key(i))['Dense_0']['kernel']} for i in range(3)
    )
    transform = muon.scale_by_muon(momentum=0.9)
    state = transform.init(params)
    _, state = transform.update(first_grads, state, params)
    found, _ = transform.update(grads, state, params)
    ahead = grads['w'] + 0.9 * (grads['w'] + 0.9 * first_grads['w'])
    expected = muon.orthogonalized([ahead], 1e-8)[0] * muon.RMS * np.sqrt(max(ahead.shape))
    np.testing.assert_allclose(found['w'], expected, rtol=1e-4, atol=1e-5)


def test_muons_patterns_give_matrices_to_adam():
    params, grads = random(jax.random.key(0)), random(jax.random.key(1))
    found, _ = first(Optim(name='muon', adam=('Dense_0/**',)), params, grads)
    adam, _ = first(Optim(name='adam'), params, grads)
    jax.tree.map(np.testing.assert_array_equal, found['Dense_0'], adam['Dense_0'])
    assert not np.allclose(found['head']['kernel'], adam['head']['kernel'])


def test_frozen_leaves_may_be_missing():
    params = {'a': jnp.ones((2, 2)), 'b': None}
    for name in NAMES:
        updates, _ = first(Optim(name=name, weight_decay=0.1), params, params)
        assert updates['b'] is None


# Against torch: a small network, gradients by each side's own autodiff.

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)


def weights():
    rng = np.random.default_rng(2)
    shapes = {'w1': (5, 6), 'b1': (6,), 'w2': (6, 3)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def torch_run(torch, make, steps, clip=None):
    params = {k: torch.tensor(v, requires_grad=True) for k, v in weights().items()}
    peer = make(list(params.values()))
    for _ in range(steps):
        peer.zero_grad()
        hidden = torch.tanh(torch.tensor(X) @ params['w1'] + params['b1'])
        ((hidden @ params['w2'] - torch.tensor(Y)) ** 2).mean().backward()
        if clip:
            clip(list(params.values()))
        peer.step()
    return {k: v.detach().numpy() for k, v in params.items()}


def jax_run(optim, steps):
    def loss(p):
        return jnp.mean((jnp.tanh(X @ p['w1'] + p['b1']) @ p['w2'] - Y) ** 2)

    params = jax.tree.map(jnp.array, weights())
    transform = optimizer(optim, steps)
    state = transform.init(params)

    @jax.jit
    def step(params, state):
        updates, state = transform.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    return params


TORCH = {
    'sgd': lambda t, p, **k: t.SGD(p, **k),
    'momentum': lambda t, p, **k: t.SGD(p, momentum=0.9, **k),
    'nesterov': lambda t, p, **k: t.SGD(p, momentum=0.9, nesterov=True, **k),
    'adagrad': lambda t, p, **k: t.Adagrad(p, **k),
    'rmsprop': lambda t, p, **k: t.RMSprop(p, **k),
    'adadelta': lambda t, p, **k: t.Adadelta(p, **k),
    'adam': lambda t, p, **k: t.Adam(p, **k),
    'adamw': lambda t, p, **k: t.AdamW(p, **k),
}


@pytest.mark.oracles
@pytest.mark.parametrize('name', TORCH)
@pytest.mark.parametrize('weight_decay', [0.0, 0.1])
@pytest.mark.parametrize('clip_norm', [0.0, 0.3])
def test_equals_torch(name, weight_decay, clip_norm):
    torch = pytest.importorskip('torch')
    options = {'lr': 0.02, 'weight_decay': weight_decay}
    expected = torch_run(
        torch,
        lambda p: TORCH[name](torch.optim, p, **options),
        20,
        (lambda p: torch.nn.utils.clip_grad_norm_(p, clip_norm)) if clip_norm else None,
    )
    found = jax_run(Optim(name=name, decay=('**',), clip_norm=clip_norm, **options), 20)
    for leaf in expected:
        np.testing.assert_allclose(found[leaf], expected[leaf], rtol=2e-4, atol=2e-5, err_msg=leaf)
        assert np.abs(found[leaf] - weights()[leaf]).max() > 1e-4


@pytest.mark.oracles
def test_muons_first_step_equals_torch():
    """Torch iterates in bfloat16 and does not correct the momentum's bias, so one step, loosely."""
    torch = pytest.importorskip('torch')
    if not hasattr(torch.optim, 'Muon'):
        pytest.skip('this torch has no Muon')
    shape = (12, 20)
    rng = np.random.default_rng(3)
    w, g = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    param = torch.nn.Parameter(torch.tensor(w))
    peer = torch.optim.Muon([param], lr=0.1, weight_decay=0.5, adjust_lr_fn='match_rms_adamw')
    param.grad = torch.tensor(g)
    peer.step()
    optim = Optim(name='muon', lr=0.1, weight_decay=0.5)
    updates, _ = first(optim, {'kernel': jnp.array(w)}, {'kernel': jnp.array(g)})
    expected = param.detach().numpy() - w
    error = np.linalg.norm(updates['kernel'] - expected) / np.linalg.norm(expected)
    assert error < 0.02
