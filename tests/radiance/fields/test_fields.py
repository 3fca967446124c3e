"""What every field must keep to."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.radiance.fields import FIELDS, Condition, field
from jaxcv.radiance.fields.field import DENSITIES, activate

SMALL = {'width': 16}
DECODED = {'widths': (8,), 'inner': 4, 'color_widths': (8,), 'images': 3, 'code': 2}
NERF = {**SMALL, 'depth': 3, 'skip': 2, 'octaves': 3, 'view_width': 8}
CASES = {
    'nerf': ('nerf', NERF),
    'nerf of photographs': ('nerf', {**NERF, 'images': 3, 'code': 2}),
    'mip-nerf': ('nerf', {**NERF, 'encoding': 'integrated'}),
    'fourier': ('nerf', {**NERF, 'encoding': 'fourier', 'activation': 'softplus'}),
    'siren': ('siren', {**SMALL, 'depth': 2}),
    'ngp': ('ngp', {**DECODED, 'levels': 3, 'rows': 2**7, 'features': 2, 'coarsest': 3}),
    'voxels': ('voxels', {'cells': 3, 'degree': 1}),
    'triplane': ('triplane', {**DECODED, 'cells': 3, 'features': 4}),
    'kplanes': ('kplanes', {**DECODED, 'cells': (3, 5), 'features': 4}),
    'kplanes in time': ('kplanes', {**DECODED, 'cells': (3,), 'time_cells': 2, 'features': 4}),
}
cases = pytest.mark.parametrize('case', CASES)


def arrays(count=12, dtype=np.float32):
    generator = np.random.default_rng(0)
    positions = generator.uniform(-1, 1, (count, 3))
    directions = generator.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    condition = Condition(
        time=jnp.asarray(generator.uniform(0, 1, count), dtype),
        image=jnp.asarray(generator.integers(0, 3, count)),
        variance=jnp.asarray(generator.uniform(0, 0.01, (count, 3)), dtype),
    )
    return jnp.asarray(positions, dtype), jnp.asarray(directions, dtype), condition


def made(case, scale=1.0):
    """The field, and parameters that are not those of the start alone."""
    name, fields = CASES[case]
    module = field(name, **fields)
    params = jax.jit(module.init)(jax.random.key(0), *arrays())['params']
    leaves, shape = jax.tree.flatten(params)
    generator = np.random.default_rng(1)
    leaves = [x + jnp.asarray(generator.normal(0, scale, x.shape), x.dtype) for x in leaves]
    return module, {'params': jax.tree.unflatten(shape, leaves)}


@cases
def test_ranges_and_gradients(case):
    module, variables = made(case, scale=0.5)
    positions, directions, condition = arrays()

    @jax.jit
    def both(variables, positions):
        found = module.apply(variables, positions, directions, condition)
        loss = lambda v, p: sum(  # noqa: E731
            x.mean() for x in module.apply(v, p, directions, condition)
        )
        return found, jax.grad(loss, (0, 1))(variables, positions)

    found, gradients = both(variables, positions)
    assert found.density.shape == (12,) and found.color.shape == (12, 3)
    assert (found.density >= 0).all() and np.isfinite(found.density).all()
    assert (found.color >= 0).all() and (found.color <= 1).all()
    assert np.std(found.color) > 0 and found.density.max() > 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))


@cases
def test_density_alone_is_that_of_the_field_without_its_color(case):
    module, variables = made(case)
    positions, directions, condition = arrays()
    found = module.apply(variables, positions, condition, method='density')
    expected = module.apply(variables, positions, directions, condition).density
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    def used(color):
        """Parameters that a loss depends on."""

        def loss(variables):
            if color:
                return module.apply(variables, positions, directions, condition).color.sum()
            return module.apply(variables, positions, condition, method='density').sum()

        gradient = jax.jit(jax.grad(loss))(variables)
        return {jax.tree_util.keystr(k) for k, x in jax.tree.leaves_with_path(gradient) if x.any()}

    assert used(color=True) - used(color=False)


@cases
def test_position_gradients_are_finite_differences(case):
    module, variables = made(case, scale=0.1)
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda x: x.astype(jnp.float64), variables)
        positions, directions, condition = arrays(dtype=np.float64)

        @jax.jit
        def value(positions):
            found = module.apply(variables, positions, directions, condition)
            return found.density + found.color @ jnp.asarray([1.0, -2.0, 3.0])

        found = jax.jit(jax.grad(lambda p: value(p).sum()))(positions)
        step = 1e-7
        for axis in range(3):
            move = step * np.eye(3)[axis]
            expected = (value(positions + move) - value(positions - move)) / (2 * step)
            scale = np.abs(expected).max() + 1
            np.testing.assert_allclose(found[:, axis], expected, atol=1e-5 * scale)


def test_appearance_changes_color_alone():
    module, variables = made('ngp')
    positions, directions, _ = arrays()

    def seen(image):
        condition = None if image is None else Condition(image=jnp.full(12, image))
        return module.apply(variables, positions, directions, condition)

    first, second, mean = seen(0), seen(1), seen(None)
    np.testing.assert_array_equal(first.density, second.density)
    assert np.abs(first.color - second.color).max() > 1e-3
    codes = variables['params']['appearance']['codes']
    averaged = jax.tree.map(lambda x: x, variables)
    averaged['params']['appearance']['codes'] = jnp.broadcast_to(codes.mean(0), codes.shape)
    same = module.apply(averaged, positions, directions, Condition(image=jnp.zeros(12, int)))
    np.testing.assert_allclose(mean.color, same.color, atol=1e-6)


@pytest.mark.parametrize('name', DENSITIES)
def test_activations_of_density(name):
    """Not negative, growing, and of finite slopes wherever a network may go."""
    x = jnp.asarray([-1e4, -100.0, -3.0, 0.5, 3.0, 14.0, 100.0, 1e4])
    y, slope = jax.vmap(jax.value_and_grad(lambda x: activate(x, name)))(x)
    assert (y >= 0).all() and np.isfinite(y).all() and (np.diff(y) >= 0).all()
    assert np.isfinite(slope).all() and (slope >= 0).all() and (slope[3:] > 0).all()
    closed = {
        'exponential': np.exp,
        'shifted_exponential': lambda x: np.exp(x - 1),
        'softplus': lambda x: np.log1p(np.exp(x)),
        'shifted_softplus': lambda x: np.log1p(np.exp(x - 1)),
        'relu': lambda x: np.maximum(x, 0),
    }[name]
    np.testing.assert_allclose(y[2:6], closed(np.float64(x[2:6])), rtol=1e-5)


def test_the_exponential_moves_from_anywhere():
    slopes = jax.vmap(jax.grad(lambda x: activate(x, 'exponential')))(
        jnp.asarray([-50.0, 2.0, 50.0])
    )
    np.testing.assert_allclose(slopes, np.exp([-15.0, 2.0, 15.0]), rtol=1e-5)


def test_errors_say_what_is_missing():
    positions, directions, _ = arrays()
    key = jax.random.key(0)
    with pytest.raises(UserError, match='variance'):
        jax.eval_shape(field('nerf', encoding='integrated').init, key, positions, directions)
    with pytest.raises(UserError, match='time'):
        jax.eval_shape(field('kplanes', time_cells=2).init, key, positions, directions)
    with pytest.raises(UserError, match='did you mean'):
        field('ngpp')
    with pytest.raises(UserError, match='did you mean'):
        field('ngp', level=3)
    assert set(FIELDS) == {name for name, _ in CASES.values()}
