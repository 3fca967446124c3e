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
from collections.abc import Sequence

import optax
from jax import numpy as jnp

from jaxcv.train import paths

RMS = 0.2
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

    def dimensions(tree):
        return paths.map_with_path(
            lambda path, leaf: optax.contrib.MuonDimensionNumbers(
                tuple(range(inputs(path, leaf))), tuple(range(inputs(path, leaf), leaf.ndim))
            ),
            tree,
        )

    def rescale(path, update):
        count = inputs(path, update)
        fans = math.prod(update.shape[:count]), math.prod(update.shape[count:])
        return update * jnp.asarray(RMS * math.sqrt(max(fans)), update.dtype)

    orthogonal = optax.chain(
        optax.contrib.scale_by_muon(beta=momentum, eps=eps, weight_dimension_numbers=dimensions),
        optax.stateless(lambda updates, params: paths.map_with_path(rescale, updates)),
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
