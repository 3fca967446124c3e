"""A tokenizer as other models see it: functions between images and codes.

    stage = tokens(module, variables, (32, 32, 3))
    codes = stage.tokenize(images)          # [b n]
    images = stage.detokenize(codes)

It is a `Stage` too, whose posteriors are the codes and whose latents their values: what diffusion
learns in, and what `experiments.encode` stores.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxcv.autoencoder.stage import Stage, fingerprint, image, single
from jaxcv.tokens.autoencoder import Tokenizer
from jaxcv.tokens.quantized import Quantizer

Codes = Int[Array, 'b n']  # of an image, flat


@dataclass(frozen=True)
class TokenStage(Stage):
    """A stage of codes.

    vocabulary  how many codes there are
    grid        the shape of the codes of an image
    quantizer   and what it has learned, for those who decode scale after scale
    """

    vocabulary: int
    grid: tuple[int, ...]
    quantizer: Quantizer
    learned: tuple[Any, Any]  # (params, state)
    images: Any  # values -> images

    @property
    def length(self) -> int:
        return math.prod(self.grid)

    def tokenize(self, images: Float[Array, 'b h w c']) -> Codes:
        return self.posterior(images)['codes'].reshape(len(images), -1)

    def detokenize(self, codes: Codes) -> Float[Array, 'b h w c']:
        codes = codes.reshape(len(codes), *self.grid)
        return self.images(self.quantizer.lookup(*self.learned, codes))


def tokens(module: Tokenizer, variables: PyTree[Array], shape: tuple[int, ...]) -> TokenStage:
    """Of a trained module, for images of a shape. What decodes latents quantizes them first."""

    def apply(method, x):
        return module.apply(variables, x, method=method)

    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    codes = jax.eval_shape(partial(apply, 'tokenize'), example)

    def decode(values):
        return image(apply('decode', single(values)))

    return TokenStage(
        posterior=lambda images: {'codes': apply('tokenize', images)},
        sample=lambda posterior, keys: module.scale * single(apply('lookup', posterior['codes'])),
        decode=lambda latents: decode(apply('quantize', latents / module.scale).values),
        fingerprint=fingerprint(variables),
        vocabulary=module.quantizer.codes,
        grid=codes.shape[1:],
        quantizer=module.quantizer,
        learned=(
            variables['params']['bottleneck'].get('learned', {}),
            variables['statistics']['bottleneck'].get('counted', ()),
        ),
        images=decode,
    )
