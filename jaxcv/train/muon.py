"""Muon: momentum, orthogonalized, for matrices; Adam for everything else.

    M ← β M + G,  O = NewtonSchulz(G + β M) ≈ U Vᵀ,  update = 0.2 √max(fan_in, fan_out) · O

(Jordan et al. 2024; the scale by Liu et al. 2025, https://arxiv.org/abs/2502.16982, gives the
update the root mean square of Adam's, so that one learning rate and one weight decay serve both.)

A leaf with two axes or more is a matrix (inputs x outputs): the last axis is the output, all
before it the input, so a convolution kernel HWIO is (H·W·I) x O. The projections of linen's
attention, `query/key/value` kernels [in, heads, head_dim], are in x (heads·head_dim). Adam keeps
vectors, depthwise kernels (one input channel), and leaves that match `adam` patterns: embeddings,
tokens and heads, which are tables or read-outs rather than maps between hidden spaces.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.train import paths

RMS = 0.2
QUINTIC = (3.4445, -4.7750, 2.0315)  # of Newton and Schulz's iteration (Jordan et al. 2024)
ITERATIONS = 5
EMBEDDINGS_AND_HEADS = ('**/*embed*', '**/*embed*/**', '**/*token*', '**/head/**')
_PROJECTIONS = tuple(f'**/{name}/kernel' for name in ('query', 'key', 'value'))


def scale_by_muon(
    *,
    momentum: float = 0.95,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    adam: Sequence[str] = EMBEDDINGS_AND_HEADS,
) -> optax.GradientTransformation:
    """The direction of the update, before weight decay and learning rate."""

    def inputs(path, leaf):
        return input_axes(path, leaf.shape, adam)

    def matrix(path, leaf):
        count = inputs(path, leaf)
        return leaf.reshape(math.prod(leaf.shape[:count]), math.prod(leaf.shape[count:]))

    def scaled(path, direction, leaf):
        factor = RMS * math.sqrt(max(matrix(path, leaf).shape))
        return (factor * direction).reshape(leaf.shape).astype(leaf.dtype)

    def update(updates, state, params=None):
        total = jax.tree.map(lambda m, g: momentum * m + g, state.trace, updates)
        ahead = jax.tree.map(lambda m, g: momentum * m + g, total, updates)  # Nesterov's
        directions = orthogonalized(paths.map_with_path(matrix, ahead), eps)
        return paths.map_with_path(scaled, directions, updates), optax.TraceState(total)

    orthogonal = optax.GradientTransformation(
        lambda params: optax.TraceState(optax.tree.zeros_like(params)), update
    )
    return optax.partition(
        {'muon': orthogonal, 'adam': optax.scale_by_adam(beta1, beta2, eps)},
        lambda params: paths.map_with_path(
            lambda path, leaf: 'muon' if inputs(path, leaf) else 'adam', params
        ),
    )


def input_axes(path: str, shape: Sequence[int], adam: Sequence[str] = EMBEDDINGS_AND_HEADS) -> int:
    """How many leading axes of a leaf are the inputs of a matrix; 0: the leaf is Adam's."""
    depthwise = len(shape) > 2 and shape[-2] == 1
    if len(shape) < 2 or depthwise or math.prod(shape) == 0 or paths.matches(adam, path):
        return 0
    return 1 if paths.matches(_PROJECTIONS, path) else len(shape) - 1


def orthogonalized(matrices: PyTree[Float[Array, 'm n']], eps: float) -> PyTree:
    """U Vᵀ of every matrix U S Vᵀ, but that its singular values are only near 1. Matrices of one
    shape take the iterations together: a network has few shapes and many layers."""
    leaves, tree = jax.tree.flatten(matrices)
    alike = defaultdict(list)
    for place, leaf in enumerate(leaves):
        alike[leaf.shape].append(place)
    for places in alike.values():
        found = _newton_schulz(jnp.stack([leaves[place] for place in places]), eps)
        for place, direction in zip(places, found, strict=True):
            leaves[place] = direction
    return tree.unflatten(leaves)


def _newton_schulz(x: Float[Array, 'k m n'], eps: float) -> Float[Array, 'k m n']:
    if x.shape[1] > x.shape[2]:
        return _newton_schulz(x.swapaxes(1, 2), eps).swapaxes(1, 2)
    a, b, c = QUINTIC

    def iterate(x, _):
        gram = x @ x.swapaxes(1, 2)
        return a * x + (b * gram + c * gram @ gram) @ x, None

    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + eps)
    return jax.lax.scan(iterate, x, None, ITERATIONS)[0]
