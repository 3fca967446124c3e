"""The whole tokenizer: parts agree, it learns everywhere, other models see it as a stage."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.autoencoder.encodings import encodings
from jaxcv.autoencoder.stage import standardized
from jaxcv.data import ArraySource, Dataset
from jaxcv.errors import UserError
from jaxcv.tokens.autoencoder import ConvTokenizer, ViTTokenizer, loss
from jaxcv.tokens.quantizers import QUANTIZERS, quantizer
from jaxcv.tokens.stage import tokens

FIELDS = {
    'vq': {'codes': 8},
    'ema': {'codes': 8},
    'gumbel': {'codes': 8},
    'residual': {'inner': {'name': 'vq', 'codes': 8}, 'depth': 2},
    'multiscale': {'codes': 8, 'scales': (1, 2, 4), 'phis': 2},
    'fsq': {'levels': (5, 3, 3, 3)},
    'lfq': {'bits': 4},
}


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def conv(name):
    fields = {'widths': (4, 8), 'blocks': 0, 'middle_attention': False, 'groups': 2}
    return ConvTokenizer(quantizer(name, **FIELDS[name]), latents=4, **fields)


def vit(name):
    return ViTTokenizer(quantizer(name, **FIELDS[name]), 4.0, 4, patch=2, width=8, depth=1, heads=2)


def filled(module):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.3, x.dtype), like['params']
    )
    fresh = jax.jit(lambda key: module.init(key, jnp.zeros((1, 8, 8, 3)))['statistics'])
    statistics = fresh(jax.random.key(0)) if 'statistics' in like else {}
    return {'params': params, 'statistics': statistics}


CASES = [*(conv(name) for name in QUANTIZERS), vit('ema')]
NAMES = [*QUANTIZERS, 'vit']


@pytest.mark.parametrize('module', CASES, ids=NAMES)
def test_the_whole_agrees_with_its_parts_and_learns_everywhere(module):
    images, variables = normal(2, 8, 8, 3), filled(module)
    params, statistics = variables['params'], variables['statistics']
    keys = jax.random.split(jax.random.key(1), 2)

    def trained(params):
        (output, found), changed = module.apply(
            {'params': params, 'statistics': statistics}, images, keys, mutable=['statistics']
        )
        return loss(images, output, found).sum(), (output, found, changed)

    gradients, (output, found, changed) = jax.jit(jax.grad(trained, has_aux=True))(params)
    assert output.shape == images.shape and np.isfinite(found.loss).all()
    assert jax.tree.structure(changed.get('statistics', {})) == jax.tree.structure(statistics)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path

    @jax.jit
    def parts(variables):
        codes = module.apply(variables, images, method='tokenize')
        return codes, module.apply(variables, codes, method='detokenize')

    codes, decoded = parts(variables)
    assert codes.shape[1:] == module.quantizer.grid(4, 4)
    assert codes.min() >= 0 and codes.max() < module.quantizer.codes
    whole, judged = jax.jit(module.apply)(variables, images)
    np.testing.assert_array_equal(codes, judged.codes)
    np.testing.assert_allclose(decoded, whole, atol=1e-5)


@pytest.mark.parametrize('module', [conv('vq'), conv('multiscale'), vit('ema')])
def test_a_stage_is_what_the_module_says(module):
    x, variables = normal(3, 8, 8, 3).clip(-1, 1), filled(module)
    keys = jax.random.split(jax.random.key(0), 3)
    stage = tokens(module, variables, x.shape[1:])
    stage = replace(stage, posterior=jax.jit(stage.posterior))
    codes = stage.tokenize(x)
    assert codes.shape == (3, stage.length) and stage.vocabulary == 8
    wanted = jax.jit(lambda x: module.apply(variables, x)[0])(x).clip(-1, 1)
    np.testing.assert_allclose(jax.jit(stage.detokenize)(codes), wanted, atol=1e-5)
    z = stage.encode(x, keys)
    if not hasattr(module.quantizer, 'scales'):  # a sum of several codes need not be found again
        np.testing.assert_allclose(stage.decode(z), wanted, atol=1e-5)
    unit = standardized(stage, x)
    assert float(unit.encode(x, keys).std()) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(unit.detokenize(unit.tokenize(x)), wanted, atol=1e-5)


def test_codes_of_a_data_set_are_stored_small():
    module = conv('vq')
    stage = tokens(module, filled(module), (8, 8, 3))
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    dataset = Dataset('some', ArraySource({'image': images, 'label': np.arange(20)}))
    batches = list(encodings(stage, dataset, 16))
    codes = np.concatenate([batch['codes'] for batch in batches])
    assert codes.dtype == np.uint16 and [len(batch['codes']) for batch in batches] == [16, 4]
    x = jnp.asarray(images, jnp.float32) / 127.5 - 1
    np.testing.assert_array_equal(codes.reshape(20, -1), jax.jit(stage.tokenize)(x))


def test_sides_that_do_not_divide_are_a_sentence():
    for module, words in ((conv('vq'), 'multiples of 2'), (vit('ema'), 'patch')):
        with pytest.raises(UserError, match=words):
            jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 9, 8, 3)))
