"""Paths of leaves and patterns over them."""

from typing import NamedTuple

import jax
import pytest
from flax import struct
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train import paths


class Pair(NamedTuple):
    mu: dict
    nu: dict


@struct.dataclass
class State:
    params: dict
    opt: tuple


def state():
    params = {'Conv_0': {'kernel': jnp.ones((2, 3)), 'bias': jnp.zeros(3)}}
    return State(params, (Pair(params, params), None))


def test_names_of_every_kind_of_node():
    assert list(paths.leaves(state())) == [
        'params/Conv_0/bias',
        'params/Conv_0/kernel',
        'opt/0/mu/Conv_0/bias',
        'opt/0/mu/Conv_0/kernel',
        'opt/0/nu/Conv_0/bias',
        'opt/0/nu/Conv_0/kernel',
    ]


def test_leaves_come_in_the_order_of_jax():
    tree = {'b': [1, {'z': 2, 'a': 3}], 'a': (4,)}
    assert list(paths.leaves(tree).values()) == jax.tree.leaves(tree)


@pytest.mark.parametrize(
    ('pattern', 'path', 'expected'),
    [
        ('**', 'a/b', True),
        ('**', '', True),
        ('**/bias', 'bias', True),
        ('**/bias', 'a/b/bias', True),
        ('**/bias', 'a/bias/c', False),
        ('**/bias', 'a/mybias', False),
        ('backbone/**', 'backbone/a/b', True),
        ('backbone/**', 'backbone', True),
        ('backbone/**', 'backbones/a', False),
        ('a/**/z', 'a/z', True),
        ('a/**/z', 'a/b/c/z', True),
        ('a/*/z', 'a/b/c/z', False),
        ('a/*/z', 'a/z', False),
        ('Conv_*/kernel', 'Conv_12/kernel', True),
        ('Conv_?/kernel', 'Conv_12/kernel', False),
        ('a.b', 'axb', False),  # a dot is a dot
        ('a', 'a/b', False),
        ((), 'a', False),
        (('x', '**/b'), 'a/b', True),
    ],
)
def test_patterns(pattern, path, expected):
    assert paths.matches(pattern, path) is expected


components = st.text(st.characters(blacklist_characters='/*?'), min_size=1, max_size=5)


@given(st.lists(components, min_size=1, max_size=5))
def test_a_path_without_wildcards_matches_only_itself(parts):
    path = '/'.join(parts)
    assert paths.matches(path, path)
    assert not paths.matches(path, path + 'x') and not paths.matches(path, 'x/' + path)


@given(st.lists(components, max_size=3), st.lists(components, min_size=1, max_size=3))
def test_rename_there_and_back(prefix, rest):
    path = '/'.join([*prefix, 'here', *rest])
    there = paths.rename('**/here/**', 'there/**/and/**', path)
    assert there == '/'.join(['there', *prefix, 'and', *rest])
    assert paths.rename('there/**/and/**', '**/here/**', there) is not None


def test_rename():
    rename = paths.rename
    assert (
        rename('params/net/**', 'params/**', 'params/net/Conv_0/kernel') == 'params/Conv_0/kernel'
    )
    assert rename('**', 'teacher/**', 'a/b') == 'teacher/a/b'
    assert rename('Block_*/w?', 'blocks/*/v?', 'Block_3/w1') == 'blocks/3/v1'
    assert rename('other/**', '**', 'a/b') is None
    with pytest.raises(UserError, match='must have the wildcards'):
        rename('a/**', 'b', 'a/c')


def test_mask_and_map():
    tree = state()
    mask = paths.mask('**/mu/**', tree)
    assert jax.tree.structure(mask) == jax.tree.structure(tree)
    assert jax.tree.leaves(mask) == [False, False, True, True, False, False]
    shapes = paths.map_with_path(lambda path, a, b: (path, a.shape == b.shape), tree, tree)
    assert shapes.params['Conv_0']['kernel'] == ('params/Conv_0/kernel', True)


def test_a_pattern_without_a_match_is_named_with_the_nearest():
    paths.require(('**/bias', 'params/**'), state(), 'frozen')
    with pytest.raises(UserError, match=r"frozen: pattern '\*\*/kernal'.*nearest are .*kernel"):
        paths.require(('**/bias', '**/kernal'), state(), 'frozen')
    with pytest.raises(UserError, match='nearest are nothing'):
        paths.require('a', {}, 'frozen')
