"""Attention against its formula and torch's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.nn.attention import Attention


def arrays(*shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in shapes]


def formula(params, x, context, heads, mask=None):
    """softmax(q k^T / sqrt(d)) v in double, head by head."""
    params = jax.tree.map(np.float64, params)
    x, context = np.float64(x), np.float64(context)

    def dense(name, x, part=0, parts=1):
        kernel, bias = (np.split(params[name][k], parts, -1)[part] for k in ('kernel', 'bias'))
        return x @ kernel + bias

    if 'qkv' in params:
        query, key, value = (dense('qkv', x, i, 3) for i in range(3))
    else:
        query = dense('query', x)
        key, value = (dense('key_value', context, i, 2) for i in range(2))
    outputs = []
    for q, k, v in zip(*(np.split(a, heads, -1) for a in (query, key, value)), strict=True):
        scores = np.exp(np.einsum('bnd,bmd->bnm', q, k) / np.sqrt(q.shape[-1]))
        scores = scores if mask is None else scores * np.asarray(mask)[:, None]
        outputs.append(np.einsum('bnm,bmd->bnd', scores / scores.sum(-1, keepdims=True), v))
    return dense('out', np.concatenate(outputs, -1))


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('crossed', [False, True])
def test_attention_is_its_formula(crossed, masked):
    x, tokens = arrays((2, 6, 8), (2, 5, 3))
    given = tokens if crossed else None
    mask = jnp.arange(5 if crossed else 6) < jnp.array([[2], [4]]) if masked else None
    module = Attention(heads=2, head_width=3)
    variables = module.init(jax.random.key(0), x, given)
    found = module.apply(variables, x, given, mask)
    expected = formula(variables['params'], x, tokens, 2, mask)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_order_of_the_tokens():
    """Self-attention follows a permutation of its tokens; cross-attention ignores one."""
    x, tokens = arrays((2, 6, 8), (2, 5, 3))
    module, order = Attention(heads=2), np.random.default_rng(1).permutation
    variables = module.init(jax.random.key(0), x)
    y, mixed = module.apply(variables, x), order(6)
    np.testing.assert_allclose(module.apply(variables, x[:, mixed]), y[:, mixed], atol=1e-6)
    assert abs(y[:, mixed] - y).max() > 0.01
    variables = module.init(jax.random.key(0), x, tokens)
    y = module.apply(variables, x, tokens)
    np.testing.assert_allclose(module.apply(variables, x, tokens[:, order(5)]), y, atol=1e-6)


def test_masked_tokens_have_no_influence():
    x, tokens = arrays((2, 6, 8), (2, 5, 3))
    module, mask = Attention(heads=2), jnp.arange(5) < jnp.array([[2], [5]])
    variables = module.init(jax.random.key(0), x, tokens)

    def total(tokens):
        return jnp.square(module.apply(variables, x, tokens, mask)).sum()

    influence = np.abs(jax.grad(total)(tokens)).sum(-1) > 0
    np.testing.assert_array_equal(influence, mask)


def test_half_precision_is_close_and_its_parameters_are_float32():
    (x,) = arrays((2, 6, 8))
    module = Attention(heads=2)
    variables = module.init(jax.random.key(0), x)
    half = Attention(heads=2, dtype=jnp.bfloat16).apply(variables, x)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), module.apply(variables, x), atol=0.03)


def test_heads_must_divide_the_width():
    with pytest.raises(UserError, match='a width of 8 does not divide into 3 heads'):
        Attention(heads=3).init(jax.random.key(0), jnp.ones((1, 2, 8)))


@pytest.mark.oracles
def test_attention_and_its_gradients_equal_torchs():
    torch = pytest.importorskip('torch')
    (x,) = arrays((2, 6, 8))
    module, theirs = Attention(heads=2), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    torch.nn.init.normal_(theirs.in_proj_bias)
    weights = {k: v.detach().numpy() for k, v in theirs.named_parameters()}
    params = {
        'qkv': {'kernel': weights['in_proj_weight'].T, 'bias': weights['in_proj_bias']},
        'out': {'kernel': weights['out_proj.weight'].T, 'bias': weights['out_proj.bias']},
    }
    ours, vjp = jax.vjp(lambda x: module.apply({'params': params}, x), x)
    input = torch.tensor(np.asarray(x), requires_grad=True)
    output, _ = theirs(input, input, input)
    output.square().sum().backward()
    np.testing.assert_allclose(ours, output.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(vjp(2 * ours)[0], input.grad.numpy(), atol=1e-5)
