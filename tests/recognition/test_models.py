"""Every model: runs, learns, treats samples independently, and is built from config data."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from jaxcv import recognition
from jaxcv.errors import UserError
from jaxcv.recognition.losses import cross_entropy

FIELDS = {
    'mlp': {'widths': (64,), 'dropout': 0.3},
    'cnn': {'widths': (8, 16), 'dropout': 0.3},
    'resnet': {
        'depths': (1, 1),
        'widths': (8, 16),
        'stem_width': 8,
        'stem': 'small',
        'drop_path': 0.5,
    },
    'vit': {'patch': 4, 'width': 32, 'depth': 2, 'heads': 2, 'mlp_width': 32, 'drop_path': 0.5},
    'convnext': {'depths': (1, 1), 'widths': (16, 32), 'patch': 2, 'kernel': 3, 'drop_path': 0.5},
}
KEY = jax.random.key(0)
IMAGES = jax.random.uniform(KEY, (6, 8, 8, 3), minval=-1.0)
KEYS = jax.random.split(KEY, 6)


def build(name, seed=0):
    """A small model with every variable random: heads and gates that start at zero hide bugs."""
    model = recognition.model(name, 4, **FIELDS[name])
    variables = jax.jit(model.init)(KEY, IMAGES)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    leaves = [
        x + 0.1 * jnp.abs(jax.random.normal(key, x.shape))
        for x, key in zip(leaves, keys, strict=True)
    ]
    return model, jax.tree.unflatten(tree, leaves)


@pytest.fixture(scope='module', params=FIELDS)
def model(request):
    return build(request.param)


def test_sample_by_sample(model):
    """Evaluated, a sample's logits do not depend on the rest of the batch; nor do its drops."""
    module, variables = model
    apply = jax.jit(lambda images, keys: module.apply(variables, images, False, keys))
    logits = apply(IMAGES, None)
    assert logits.shape == (6, 4)
    assert logits.std() > 1e-3
    # Samples 0 and 1 become others; the last change places.
    others, order = jnp.zeros((2, 8, 8, 3)), jnp.array([5, 4, 3, 2])
    images = jnp.concatenate([others, IMAGES[order]])
    np.testing.assert_allclose(logits[order], apply(images, None)[2:], atol=1e-5)
    dropped = apply(IMAGES, KEYS)
    assert not np.allclose(dropped, logits, atol=1e-3)
    keys = jnp.concatenate([KEYS[:2], KEYS[order]])
    np.testing.assert_allclose(dropped[order], apply(images, keys)[2:], atol=1e-5)


def test_gradients_reach_every_parameter(model):
    module, variables = model
    params, rest = variables['params'], {k: v for k, v in variables.items() if k != 'params'}

    def loss(params):
        logits, _ = module.apply(
            {'params': params, **rest}, IMAGES, True, None, mutable=['batch_stats']
        )
        return cross_entropy(logits, jnp.arange(6) % 4).mean()

    for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(grad).all(), name
        # A shift of all keys leaves the softmax alone.
        assert np.abs(grad).max() > 0 or "'key']['bias'" in name, name


def test_half_precision(model):
    """Every layer computes in the precision of the parameters and images; logits are float32."""
    module, variables = model
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (variables, IMAGES))
    logits, seen = jax.eval_shape(
        lambda variables, images: module.apply(
            variables, images, capture_intermediates=True, mutable=['intermediates']
        ),
        *half,
    )
    assert logits.dtype == jnp.float32
    for path, value in jax.tree_util.tree_leaves_with_path(seen['intermediates']):
        if len(path) > 2:  # not the model's own output
            assert value.dtype == jnp.bfloat16, jax.tree_util.keystr(path)


def test_features_are_what_the_head_sees(model):
    module, variables = model
    apply = jax.jit(lambda images: module.apply(variables, images, False, None, features=True))
    logits, seen = apply(IMAGES)
    head = variables['params']['head']
    np.testing.assert_allclose(logits, seen @ head['kernel'] + head['bias'], atol=1e-4)


@pytest.mark.parametrize('name', ['cnn', 'vit'])
def test_learns_random_labels(name):
    random = ('dropout', 'drop_path')
    fields = {field: value for field, value in FIELDS[name].items() if field not in random}
    module = recognition.model(name, 4, **fields)
    images = jax.random.uniform(jax.random.key(1), (32, 8, 8, 3), minval=-1.0)
    labels = jax.random.randint(jax.random.key(2), (32,), 0, 4)
    variables = jax.jit(module.init)(KEY, images)
    params, rest = variables['params'], {k: v for k, v in variables.items() if k != 'params'}
    optimizer = optax.adam(3e-3)

    def loss(params, rest):
        logits, rest = module.apply({'params': params, **rest}, images, True, mutable=list(rest))
        return cross_entropy(logits, labels).mean(), (rest, logits)

    def step(carry, _):
        params, rest, opt_state = carry
        grads, (rest, logits) = jax.grad(loss, has_aux=True)(params, rest)
        updates, opt_state = optimizer.update(grads, opt_state)
        carry = (optax.apply_updates(params, updates), rest, opt_state)
        return carry, (logits.argmax(-1) == labels).mean()

    carry = (params, rest, optimizer.init(params))
    _, accuracy = jax.jit(lambda carry: jax.lax.scan(step, carry, None, 80))(carry)
    assert accuracy[-1] == 1


def test_published_sizes():
    """Parameters in millions, as the papers and torchvision give them for 1000 classes."""
    for name, size, millions in [
        ('resnet', 18, 11.7),
        ('resnet', 50, 25.6),
        ('vit', 'base', 86.6),
        ('convnext', 'atto', 3.7),
        ('convnext', 'tiny', 28.6),
    ]:
        module = recognition.model(name, 1000, size=size)
        images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
        shapes = jax.eval_shape(module.init, KEY, images)['params']
        count = sum(x.size for x in jax.tree.leaves(shapes))
        assert round(count / 1e6, 1) == millions, name


@pytest.mark.parametrize(
    ('name', 'fields', 'message'),
    [
        ('cnnn', {}, r"config\.model\.name is 'cnnn'.*did you mean 'cnn'"),
        ('cnn', {'width': (8,)}, r"'width'.*dropout, widths.*did you mean 'widths'"),
        ('cnn', {'widths': 8}, r'config\.model\.widths is 8, but must be of type tuple'),
        ('cnn', {'widths': (8, '9')}, r"config\.model\.widths is '9', but must be of type int"),
        ('cnn', {'depth': True}, r'config\.model\.depth is True, but must be of type int'),
        ('vit', {'size': 'tinny'}, r"config\.model\.size.*did you mean 'tiny'"),
        ('cnn', {'size': 'tiny'}, r"model 'cnn' has no sizes"),
        ('cnn', {'dropout': '0'}, r"config\.model\.dropout is '0', but must be of type float"),
        ('cnn', {'parent': None}, r"^a field of config\.model for 'cnn' is 'parent'"),
    ],
)
def test_mistakes(name, fields, message):
    with pytest.raises(UserError, match=message):
        recognition.model(name, 4, **fields)


def test_config_data_becomes_fields():
    module = recognition.model('cnn', 4, widths=[8, 16], dropout=0)
    assert (module.widths, module.dropout) == ((8, 16), 0.0)
    assert isinstance(module.dropout, float)
    assert recognition.model('resnet', 4, size='50', depths=(1, 1, 1, 1)).depths == (1, 1, 1, 1)


def test_images_that_patches_do_not_divide():
    with pytest.raises(UserError, match='9x8 do not divide into patches of 4'):
        recognition.model('vit', 4, **FIELDS['vit']).init(KEY, jnp.zeros((1, 9, 8, 3)))


@pytest.mark.parametrize('name', ['resnet', 'convnext'])
def test_every_stage_needs_a_depth_and_a_width(name):
    module = recognition.model(name, 4, depths=(1, 1), widths=(8, 8, 8))
    with pytest.raises(UserError, match='2 depths and 3 widths'):
        jax.eval_shape(module.init, KEY, jnp.zeros((1, 32, 32, 3)))


def test_every_model_is_tested():
    assert FIELDS.keys() == recognition.MODELS.keys()
