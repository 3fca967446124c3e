"""Rules there and back, and the lists of what does not fit."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcv.errors import UserError
from jaxcv.interop.mapping import (
    KERNEL,
    SAME,
    Rule,
    fused,
    leading,
    link,
    parted,
    to_tensors,
    to_tree,
)

RNG = np.random.default_rng(0)
RULES = [
    Rule('embed.weight', 'params/embed', leading(1)),
    Rule('layer.{i}.fc.weight', 'params/block{i}/fc/kernel', KERNEL),
    Rule('layer.{i}.fc.bias', 'params/block{i}/fc/bias'),
    Rule('layer.{i}.conv.weight', 'params/block{i}/conv/kernel', KERNEL),
    Rule('layer.{i}.{part:scale|shift}', 'params/block{i}/norm/{part:scale|shift}'),
    Rule(
        'layer.{i}.qkv.weight',
        tuple(f'params/block{{i}}/{part}/kernel' for part in ('q', 'k', 'v')),
        parted(3, KERNEL),
    ),
    Rule(
        ('layer.{i}.left.weight', 'layer.{i}.right.weight'),
        'params/block{i}/both/kernel',
        fused(2, KERNEL),
    ),
]


def block(seed):
    def array(*shape):
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    return {
        'fc': {'kernel': array(3, 4), 'bias': array(4)},
        'conv': {'kernel': array(5, 7, 2, 6)},
        'norm': {'scale': array(4), 'shift': array(4) + 1},
        **{part: {'kernel': array(3, 4) + i} for i, part in enumerate('qkv')},
        'both': {'kernel': array(3, 8)},
    }


TREE = {'params': {'embed': RNG.normal(size=(2, 3)), **{f'block{i}': block(i) for i in (0, 11)}}}
TENSORS = to_tensors(RULES, TREE)


def read(tensors, **options):
    return to_tree(RULES, tensors, TREE, **options)


def error(changes=None, drop=(), **options):
    tensors = {name: value for name, value in TENSORS.items() if name not in drop}
    with pytest.raises(UserError) as caught:
        read(tensors | (changes or {}), **options)
    return str(caught.value)


def test_there_and_back():
    jax.tree.map(np.testing.assert_array_equal, read(TENSORS), TREE)


def test_torch_s_layouts():
    params = TREE['params']['block11']
    assert TENSORS['embed.weight'].shape == (1, 2, 3)
    assert TENSORS['layer.11.conv.weight'].shape == (6, 2, 5, 7)
    x = RNG.normal(size=3)
    np.testing.assert_allclose(TENSORS['layer.11.fc.weight'] @ x, x @ params['fc']['kernel'])
    q, k, v = np.split(TENSORS['layer.11.qkv.weight'] @ x, 3)
    for ours, theirs in zip('qkv', (q, k, v), strict=True):
        np.testing.assert_allclose(theirs, x @ params[ours]['kernel'])
    both = [TENSORS[f'layer.11.{side}.weight'] @ x for side in ('left', 'right')]
    np.testing.assert_allclose(np.concatenate(both), x @ params['both']['kernel'])


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 3))
def test_every_layout_has_its_inverse(shape, parts):
    x = np.arange(np.prod(shape)).reshape(shape)
    for layout in (SAME, KERNEL):
        np.testing.assert_array_equal(layout.ours(*layout.theirs(x))[0], x)
        for ours, count in ((parted(parts, layout), parts), (fused(1, layout), 1)):
            many = [x + i for i in range(count)]
            np.testing.assert_array_equal(ours.ours(*ours.theirs(*many)), many)
    np.testing.assert_array_equal(leading(2).ours(*leading(2).theirs(x))[0], x)
    stacked = np.concatenate([x] * parts, axis=-1)
    np.testing.assert_array_equal(
        fused(parts, KERNEL).ours(*fused(parts, KERNEL).theirs(stacked))[0], stacked
    )


def test_dtypes_are_the_model_s():
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, np.float16), TREE)
    tree = to_tree(RULES, TENSORS, like)
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {np.dtype(np.float16)}


def test_missing_unexpected_and_misshapen_tensors_are_all_listed():
    message = error(
        {'layer.0.fc.bais': np.zeros(4), 'layer.11.fc.bias': np.zeros(5)},
        drop=['layer.0.fc.bias', 'layer.11.qkv.weight'],
    )
    first, missing, unexpected, shape = message.splitlines()
    assert first.endswith(': 2 missing, 1 unexpected, 1 of another shape')
    assert 'layer.0.fc.bias (nearest: layer.0.fc.bais)' in missing
    assert 'layer.11.qkv.weight' in missing and 'layer.0.fc.bais' in unexpected
    assert 'layer.11.fc.bias has (5,), expected (4,)' in shape


def test_a_transposed_matrix_is_not_taken_for_its_transpose():
    name = 'layer.0.fc.weight'
    assert f'{name} has (3, 4), expected (4, 3)' in error({name: TENSORS[name].T})


def test_long_lists_are_cut():
    message = error({f'stray{i}': np.zeros(1) for i in range(25)})
    assert '25 unexpected' in message and message.endswith('; and 15 more')


def test_ignored_names_and_other_spellings():
    spelled = {name.replace('layer.', 'h.'): value for name, value in TENSORS.items()}
    spelled['pooler.weight'] = np.zeros(3)
    tree = read(spelled, renames=[(r'^h\.', 'layer.')], ignore=[r'pooler\..*'])
    jax.tree.map(np.testing.assert_array_equal, tree, TREE)
    both = {'layer.0.fc.bias': np.zeros(4), 'h.0.fc.bias': np.zeros(4)}
    assert "called 'layer.0.fc.bias'" in error(both, renames=[(r'^h\.', 'layer.')])
    assert '1 unexpected' in error({'my_pooler.weight': np.zeros(3)}, ignore=[r'pooler\..*'])


def test_each_leaf_needs_exactly_one_rule():
    extra = Rule('again.{i}', 'params/block{i}/fc/bias')
    with pytest.raises(UserError, match=r'params/block0/fc/bias \(2 rules\)'):
        to_tensors([*RULES, extra], TREE)
    with pytest.raises(UserError, match=r'params/embed \(0 rules\)'):
        to_tensors(RULES[1:], TREE)
    with pytest.raises(UserError, match=r'params/new \(0 rules\)'):
        to_tree(RULES, TENSORS, {'params': {**TREE['params'], 'new': np.zeros(1)}})


def test_half_of_a_fused_rule_is_an_error():
    half = {'params': {'block0': {'q': block(0)['q']}}}
    with pytest.raises(UserError, match=r'params/block0/k/kernel \(in a rule, but not'):
        to_tensors(RULES, half)
    _, report = link([Rule('same', 'a'), Rule('same', 'b')], ['a', 'b'])
    assert report.unruled == ['same (used 2 times)']
