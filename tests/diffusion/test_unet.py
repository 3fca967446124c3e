"""The U-Net: shapes, gradients, conditions, exact invariants."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion.networks import Condition, UNet
from jaxcv.errors import UserError

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 8, 3)), jnp.float32)
TIME = jnp.array([1.0, 700.0])
TOKENS = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 7)), jnp.float32)
FIELDS = {'widths': (4, 8), 'blocks': 1, 'groups': 2, 'head_width': 4}
KINDS = {
    'ddpm': {'attention': ('none', 'self')},
    'adm': {
        'attention': ('none', 'self'),
        'modulation': 'scale_shift',
        'resample': 'block',
        'num_classes': 3,
        'learn_sigma': True,
    },
    'latent': {
        'attention': ('none', 'cross'),
        'middle': 'cross',
        'heads': (1, 2),
        'vector': True,
    },
}
FOUR = {'widths': (4,) * 4, 'attention': ('none',) * 4}
ONE_LEVEL = {
    'widths': (4,),
    'attention': ('self',),
    'middle': None,
    'blocks': 1,
    'groups': 2,
    'head_width': 4,
}


def told(kind):
    return {
        'ddpm': None,
        'adm': Condition(label=jnp.array([0, 2])),
        'latent': Condition(tokens=TOKENS, vector=TOKENS[:, 0]),
    }[kind]


def built(kind, **options):
    """(module, variables filled with random numbers): a fresh one outputs 0."""
    module = UNet(**{**FIELDS, **KINDS[kind], **options})
    variables = jax.eval_shape(module.init, jax.random.key(0), X, TIME, told(kind))
    generator = np.random.default_rng(2)
    return module, jax.tree.map(
        lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.2, jnp.float32), variables
    )


def compiled(function):
    """Quick to compile rather than quick to run."""
    return jax.jit(function, compiler_options={'xla_backend_optimization_level': 0})


@pytest.mark.parametrize('kind', ['adm', 'latent'])
def test_shapes_and_gradients(kind):
    module, variables = built(kind)

    @compiled
    def run(variables, x):
        def loss(variables, x):
            y = module.apply(variables, x, TIME, told(kind))
            return jnp.square(y).sum(), y

        return jax.grad(loss, (0, 1), has_aux=True)(variables, x)

    gradients, y = run(variables, X)
    assert y.shape == (2, 4, 8, 6 if kind == 'adm' else 3) and y.dtype == jnp.float32
    for gradient in jax.tree.leaves(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7


def test_a_fresh_network_outputs_exactly_zero():
    module = UNet(**ONE_LEVEL)
    variables = compiled(module.init)(jax.random.key(0), X, TIME)
    np.testing.assert_array_equal(compiled(module.apply)(variables, X, TIME), 0)


def test_labels_have_rows_and_a_null_class():
    module, variables = built('adm', **ONE_LEVEL)
    run = compiled(lambda *label: module.apply(variables, X, TIME, Condition(jnp.stack(label))))
    y, null = run(0, 2), run(3, 2)
    assert abs(null - y)[0].max() > 1e-4
    np.testing.assert_allclose(null[1], y[1], atol=1e-6)
    assert variables['params']['embedding']['label']['embedding'].shape == (4, 16)


def test_tokens_and_vectors_matter_and_tokens_are_a_set():
    module, variables = built('latent', **{**ONE_LEVEL, 'attention': ('cross',), 'heads': 2})
    run = compiled(lambda condition: module.apply(variables, X, TIME, condition))
    condition = told('latent')._replace(mask=jnp.ones((2, 5), bool))
    y = run(condition)
    assert abs(run(condition._replace(vector=2 * condition.vector)) - y).max() > 1e-4
    assert abs(run(condition._replace(tokens=2 * TOKENS)) - y).max() > 1e-4
    np.testing.assert_allclose(run(condition._replace(tokens=TOKENS[:, ::-1])), y, atol=1e-5)
    some = condition._replace(mask=jnp.broadcast_to(jnp.arange(5) < 2, (2, 5)))
    other = some._replace(tokens=TOKENS.at[:, 2:].set(9.0))
    np.testing.assert_allclose(run(some), run(other), atol=1e-5)
    assert abs(run(some) - y).max() > 1e-4


def test_a_level_narrower_than_a_head_has_one():
    fields = {**ONE_LEVEL, 'attention': ('cross',), 'head_width': 64}
    module = UNet(**fields, vector=True)
    variables = jax.eval_shape(module.init, jax.random.key(0), X, TIME, told('latent'))
    one = UNet(**fields, vector=True, heads=1)
    assert jax.eval_shape(one.init, jax.random.key(0), X, TIME, told('latent')) == variables


def test_sides_may_be_odd():
    module = UNet(**{**FIELDS, **FOUR})
    x = jnp.zeros((2, 25, 14, 3))
    variables = jax.eval_shape(module.init, jax.random.key(0), x, TIME)
    assert jax.eval_shape(module.apply, variables, x, TIME).shape == x.shape


def test_channels_may_be_joined():
    """For inpainting: the mask and the known pixels."""
    module = UNet(**FIELDS, **KINDS['ddpm'])
    condition = Condition(image=jnp.ones((2, 4, 8, 4)))
    variables = jax.eval_shape(module.init, jax.random.key(0), X, TIME, condition)
    assert variables['params']['conv_in']['kernel'].shape == (3, 3, 7, 4)
    assert jax.eval_shape(module.apply, variables, X, TIME, condition).shape == X.shape


def test_samples_do_not_meet():
    """Batches of 1 and 2 agree, dropout included."""
    module, variables = built('adm', **ONE_LEVEL, dropout=0.3)
    keys = jax.random.split(jax.random.key(1), 2)
    run = compiled(lambda x, t, label, keys: module.apply(
        variables, x, t, Condition(label), keys is not None, keys
    ))  # fmt: skip
    label = jnp.array([0, 2])
    y = run(X, TIME, label, keys)
    alone = run(X[1:], TIME[1:], label[1:], keys[1:])
    np.testing.assert_allclose(alone, y[1:], atol=1e-5)
    assert abs(run(X, TIME, label, None) - y).max() > 1e-3


def test_recomputing_changes_no_gradient():
    module, variables = built(
        'latent', **{**ONE_LEVEL, 'attention': ('cross',), 'heads': 2}, dropout=0.2
    )
    keys = jax.random.split(jax.random.key(1), 2)

    def gradient(module):
        def loss(variables):
            y = module.apply(variables, X, TIME, told('latent'), True, keys)
            return jnp.square(y).sum()

        return compiled(jax.grad(loss))(variables)

    again = gradient(module.clone(remat=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), gradient(module), again)


def test_half_precision_is_close():
    module, variables = built('ddpm', **ONE_LEVEL)
    half = module.clone(dtype=jnp.bfloat16)
    found, expected = (compiled(m.apply)(variables, X, TIME) for m in (half, module))
    assert found.dtype == jnp.float32
    assert jnp.linalg.norm(found - expected) < 0.05 * jnp.linalg.norm(expected)


@pytest.mark.parametrize(
    'fields,condition,sentence',
    [
        ({'attention': ('none',)}, None, '2 widths and 1 entries'),
        ({'attention': ('none', 'all')}, None, 'the attention of a level'),
        ({**KINDS['adm'], **FOUR}, Condition(label=TIME), 'multiples of 8, .*; got 4x8'),
        ({**FOUR, 'padding': 0}, None, 'multiples of 8, .*; got 4x8'),
        ({**KINDS['latent'], 'vector': False}, None, 'needs condition.tokens'),
        (KINDS['ddpm'], Condition(vector=TIME[:, None]), 'condition.vector is given'),
        ({**KINDS['ddpm'], 'resample': 'pool'}, None, 'resample is'),
    ],
)
def test_mistakes_are_sentences(fields, condition, sentence):
    module = UNet(**{**FIELDS, **fields})
    with pytest.raises(UserError, match=sentence):
        jax.eval_shape(module.init, jax.random.key(0), X, TIME, condition)


@pytest.mark.oracles
@pytest.mark.parametrize('layers', [1, 2])
def test_parameters_are_as_many_as_diffusers(layers):
    diffusers = pytest.importorskip('diffusers')
    theirs = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(32, 64), layers_per_block=layers, norm_num_groups=8,
        down_block_types=('DownBlock2D', 'AttnDownBlock2D'),
        up_block_types=('AttnUpBlock2D', 'UpBlock2D'), num_class_embeds=4,
    )  # fmt: skip
    module = UNet((32, 64), layers, ('none', 'self'), groups=8, head_width=8, num_classes=3)
    condition = Condition(label=jnp.array([0, 1]))
    ours = jax.eval_shape(module.init, jax.random.key(0), X, TIME, condition)
    count = sum(x.size for x in jax.tree.leaves(ours))
    assert count == sum(p.numel() for p in theirs.parameters())
