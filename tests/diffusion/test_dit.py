"""The diffusion transformer: exact invariants, published costs, half precision."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion.networks import SIZES, Condition, DiT
from jaxcv.diffusion.networks.time import sinusoidal
from jaxcv.errors import UserError
from jaxcv.nn import cost
from jaxcv.nn.patchify import assembled, cut, positions

SMALL = {'width': 16, 'depth': 2, 'heads': 2, 'time_width': 8}
VARIANTS = ['adaln_zero', 'in_context', 'cross_attention']
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 8, 3)), jnp.float32)
TIME = jnp.array([1.0, 700.0])
TOKENS = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 7)), jnp.float32)


def network(variant='adaln_zero', **options):
    return DiT(**{'num_classes': 3, 'variant': variant, **SMALL, **options})


def told(variant='adaln_zero', label=(0, 2), **more):
    tokens = None if variant == 'adaln_zero' else TOKENS
    return Condition(**{'label': jnp.array(label), 'tokens': tokens, **more})


def built(variant='adaln_zero', **options):
    """(module, variables filled with random numbers): a fresh one ignores everything."""
    module = network(variant, tokens=variant != 'adaln_zero', **options)
    variables = jax.eval_shape(module.init, jax.random.key(0), X, TIME, told(variant))
    generator = np.random.default_rng(2)
    return module, jax.tree.map(
        lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.2, jnp.float32), variables
    )


def compiled(function):
    """Quick to compile rather than quick to run."""
    return jax.jit(function, compiler_options={'xla_backend_optimization_level': 0})


@pytest.mark.parametrize('learn_sigma', [False, True])
@pytest.mark.parametrize('variant', VARIANTS)
def test_a_fresh_network_outputs_exactly_zero(variant, learn_sigma):
    module = network(variant, tokens=variant != 'adaln_zero', learn_sigma=learn_sigma)
    variables = compiled(module.init)(jax.random.key(0), X, TIME, told(variant))
    y = compiled(module.apply)(variables, 100 * X, TIME, told(variant))
    assert y.shape == (2, 4, 8, 6 if learn_sigma else 3)
    np.testing.assert_array_equal(y, 0)


def test_a_fresh_block_is_the_identity():
    """So that the gradient of the last layer is that of the patches alone."""
    module = network()
    variables = module.init(jax.random.key(0), X, TIME, told())
    ones = jnp.ones_like(variables['params']['project']['kernel'])
    deep = jax.tree.map(lambda x: x, variables)
    deep['params']['project']['kernel'] = ones
    none = network(depth=0)
    shallow = {k: v for k, v in deep['params'].items() if not k.startswith('block')}
    np.testing.assert_array_equal(
        module.apply(deep, X, TIME, told()), none.apply({'params': shallow}, X, TIME, told())
    )


@pytest.mark.parametrize('variant', VARIANTS)
def test_everything_told_matters_and_has_a_gradient(variant):
    module, variables = built(variant)
    condition = told(variant)

    @jax.jit
    def output(variables, x, time, condition):
        return module.apply(variables, x, time, condition)

    y = output(variables, X, TIME, condition)
    others = [(2 * X, TIME, condition), (X, TIME + 1, condition), (X, TIME, told(variant, (3, 2)))]
    if variant != 'adaln_zero':
        others.append((X, TIME, told(variant, tokens=2 * TOKENS)))
    for other in others:
        assert abs(output(variables, *other) - y)[0].max() > 1e-3
    loss = lambda v, x: jnp.square(output(v, x, TIME, condition)).sum()  # noqa: E731
    for gradient in jax.tree.leaves(jax.grad(loss, (0, 1))(variables, X)):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-6


@pytest.mark.parametrize('variant', ['in_context', 'cross_attention'])
def test_tokens_are_a_set_and_masked_ones_are_absent(variant):
    module, variables = built(variant)
    y = module.apply(variables, X, TIME, told(variant))
    mixed = told(variant, tokens=TOKENS[:, jnp.array([3, 0, 4, 1, 2])])
    np.testing.assert_allclose(module.apply(variables, X, TIME, mixed), y, atol=1e-5)
    mask = jnp.arange(5) < 2
    masked = told(variant, mask=jnp.broadcast_to(mask, (2, 5)))
    fewer = told(variant, tokens=TOKENS[:, :2])
    y = module.apply(variables, X, TIME, masked)
    np.testing.assert_allclose(module.apply(variables, X, TIME, fewer), y, atol=1e-5)


def test_samples_do_not_meet():
    """Batches of 1 and 2 agree, dropout included."""
    module, variables = built(dropout=0.3)
    keys = jax.random.split(jax.random.key(1), 2)
    y = module.apply(variables, X, TIME, told(), True, keys)
    one = module.apply(variables, X[1:], TIME[1:], told(label=(2,)), True, keys[1:])
    np.testing.assert_allclose(one, y[1:], atol=1e-5)
    still = module.apply(variables, X, TIME, told(), False, keys)
    assert abs(still - y).max() > 1e-3
    np.testing.assert_array_equal(still, module.apply(variables, X, TIME, told()))


def test_the_null_class_is_the_number_of_classes():
    module, variables = built()
    assert variables['params']['embedding']['label']['embedding'].shape == (4, 16)
    assert np.isfinite(module.apply(variables, X, TIME, told(label=(3, 3)))).all()
    without, variables = built(null_class=False)
    assert variables['params']['embedding']['label']['embedding'].shape == (3, 16)
    y = without.apply(variables, X, TIME, told(label=(3, 2)))
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


def test_one_embedding_per_block():
    module, variables = built(embed_per_block=True)
    params = variables['params']
    assert {'embedding0', 'embedding1'} < set(params) and 'embedding' not in params
    shared, _ = built()
    copied = {**params, 'embedding1': params['embedding0']}
    one = {k: v for k, v in copied.items() if not k.startswith('embedding')}
    one['embedding'] = params['embedding0']
    np.testing.assert_allclose(
        module.apply({'params': copied}, X, TIME, told()),
        shared.apply({'params': one}, X, TIME, told()),
        atol=1e-6,
    )


@pytest.mark.parametrize('variant', ['adaln_zero', 'in_context'])
def test_recomputing_changes_no_gradient(variant):
    module, variables = built(variant, dropout=0.2, depth=1)
    keys = jax.random.split(jax.random.key(1), 2)

    def gradient(module):
        loss = lambda v: jnp.square(  # noqa: E731
            module.apply(v, X, TIME, told(variant), True, keys)
        ).sum()
        return compiled(jax.grad(loss))(variables)

    again = gradient(module.clone(remat=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), gradient(module), again)


@pytest.mark.parametrize('variant', VARIANTS)
def test_half_precision_is_close(variant):
    module, variables = built(variant)
    half = module.clone(dtype=jnp.bfloat16)
    fresh = half.init(jax.random.key(0), X, TIME, told(variant))
    assert {x.dtype for x in jax.tree.leaves(fresh)} == {jnp.dtype('float32')}
    found = half.apply(variables, X, TIME, told(variant))
    expected = module.apply(variables, X, TIME, told(variant))
    assert found.dtype == jnp.float32
    assert jnp.linalg.norm(found - expected) < 0.05 * jnp.linalg.norm(expected)


def test_cost_of_the_largest_is_the_published_one():
    """DiT-XL/2 at 32x32x4: 118.6 billion multiply-adds, 675 million parameters (their table 4)."""
    module = DiT(1000, patch=2, learn_sigma=True, implementation='xla', **SIZES['XL'])
    x = jax.ShapeDtypeStruct((1, 32, 32, 4), jnp.float32)
    lines = cost(module, x, jnp.zeros(1), Condition(label=jnp.zeros(1, int)))
    assert round(sum(line.multiply_adds for line in lines) / 1e9, 1) == 118.6
    assert round(sum(line.parameters for line in lines) / 1e6) == 675


@pytest.mark.parametrize('size,billions', [('S', 6.06), ('B', 23.01), ('L', 80.71)])
def test_costs_of_the_others(size, billions):
    """Table 4: 6.06, 23.01 and 80.71 Gflops."""
    module = DiT(1000, patch=2, learn_sigma=True, **SIZES[size])
    x = jax.ShapeDtypeStruct((1, 32, 32, 4), jnp.float32)
    lines = cost(module, x, jnp.zeros(1), Condition(label=jnp.zeros(1, int)))
    found = sum(line.multiply_adds for line in lines) / 1e9
    assert abs(found / billions - 1) < 0.002


def test_patches_are_cut_row_by_row_and_assembled_again():
    x = X[:, :, :6]
    rows = cut(x, 2)
    np.testing.assert_array_equal(rows[1, 4], x[1, 2:4, 2:4].reshape(-1))
    np.testing.assert_array_equal(assembled(rows, 2, 3, 2), x)


def test_time_in_sinusoids():
    """w_i = 10000^(-i / (half - shift)), and a zero for an odd number."""
    time, half = np.array([0.0, 0.5, 999.0]), 4
    for shift in (0.0, 1.0):
        angles = time[:, None] * 10_000.0 ** (-np.arange(half) / (half - shift))
        found = sinusoidal(jnp.asarray(time), 9, cosine_first=False, shift=shift)
        expected = np.concatenate([np.sin(angles), np.cos(angles), np.zeros((3, 1))], 1)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        swapped = sinusoidal(jnp.asarray(time), 8, cosine_first=True, shift=shift)
        np.testing.assert_array_equal(swapped, np.roll(found[:, :8], half, 1))


def test_mistakes_are_sentences():
    def start(module, condition=None, x=X):
        return jax.eval_shape(module.init, jax.random.key(0), x, TIME, condition)

    for module, condition, sentence in [
        (network(), None, 'built with num_classes and needs condition.label'),
        (network(num_classes=None), told(), 'condition.label is given, but .* without num_classes'),
        (network(), told('in_context'), 'condition.tokens is given'),
        (network(tokens=True), told('in_context'), 'needs variant'),
        (network('film'), told(), 'the variant of a DiT'),
        (network(patch=3), told(), 'images of 4x8 do not divide into patches of 3x3'),
        (network(width=18), told(), 'multiple of 4'),
    ]:
        with pytest.raises(UserError, match=sentence):
            start(module, condition)


@pytest.mark.oracles
def test_positions_and_sinusoids_equal_diffusers():
    torch = pytest.importorskip('torch')
    embeddings = pytest.importorskip('diffusers.models.embeddings')
    theirs = embeddings.get_2d_sincos_pos_embed(16, (3, 5), base_size=5, output_type='pt')
    # Theirs stretches rows to the base size; ours counts patches.
    ours = positions(3, 5, 16)
    square = embeddings.get_2d_sincos_pos_embed(16, 5, base_size=5, output_type='pt')
    np.testing.assert_allclose(positions(5, 5, 16), square, atol=1e-6)
    np.testing.assert_allclose(ours[:5], np.asarray(theirs)[:5], atol=1e-6)
    time = np.array([0.0, 3.0, 999.0], np.float32)
    for flip in (False, True):
        for shift in (0, 1):
            theirs = embeddings.get_timestep_embedding(
                torch.tensor(time), 8, flip_sin_to_cos=flip, downscale_freq_shift=shift
            )
            ours = sinusoidal(jnp.asarray(time), 8, cosine_first=flip, shift=shift)
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
