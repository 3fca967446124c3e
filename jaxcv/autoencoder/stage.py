"""An autoencoder as other models see it: functions between images and latents.

    stage = standardized(from_kl(module, variables), images)
    z = stage.encode(images, keys)
    images = stage.decode(z)

What the encoder says of an image, its posterior, may be stored once (`experiments.encode`) and
sampled again in every epoch: `stage.sample(batch, keys)` takes a batch of what was stored.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.autoencoder.kl import Gaussian, KLAutoencoder, sample, standardization
from jaxcv.errors import UserError

BATCH = 256  # images encoded at once where latents are measured
Images = Float[Array, 'b h w c']  # in [-1, 1]
Latents = Float[Array, 'b h2 w2 d']


@dataclass(frozen=True)
class Stage:
    """Functions of batches.

    posterior    images -> what is known of their latents: named arrays, the batch axis first
    sample       (a mapping with those arrays, in any precision, keys [b]) -> latents
    decode       latents -> images
    fingerprint  of the parameters: what they encoded goes with no others
    """

    posterior: Callable[[Images], dict[str, Array]]
    sample: Callable[[Mapping[str, Array], Key[Array, 'b']], Latents]
    decode: Callable[[Latents], Images]
    fingerprint: str

    def encode(self, images: Images, keys: Key[Array, 'b']) -> Latents:
        return self.sample(self.posterior(images), keys)


# The images themselves.
plain = Stage(
    lambda images: {'latents': images},
    lambda posterior, keys: single(posterior['latents']),
    lambda latents: latents,
    'plain',
)


def from_kl(module: KLAutoencoder, variables: PyTree[Array]) -> Stage:
    """Posteriors are `mean` and `log_variance`; the latents are as the module standardizes them."""

    def posterior(images):
        return module.apply(variables, images, method='encode')._asdict()

    def draw(posterior, keys):
        gaussian = Gaussian(single(posterior['mean']), single(posterior['log_variance']))
        return module.standardized(sample(gaussian, keys))

    def decode(latents):
        return image(module.apply(variables, module.unstandardized(latents), method='decode'))

    return Stage(posterior, draw, decode, fingerprint(variables))


def standardized(stage: Stage, images: Float[Array, 'n h w c']) -> Stage:
    """The stage with latents of mean 0 and variance 1, over all there are of `images`.

    Posteriors stay as they are: what was stored needs no change.
    """
    keys = jax.random.split(jax.random.key(0), len(images))
    encode = jax.jit(stage.encode)
    starts = range(0, len(images), BATCH)
    parts = [encode(images[i : i + BATCH], keys[i : i + BATCH]) for i in starts]
    shift, scale = map(float, standardization(jnp.concatenate(parts)))
    if not np.isfinite(scale):
        raise UserError('the encoder gives the same latents for all images: train it again')
    return replace(
        stage,
        sample=lambda posterior, keys: (stage.sample(posterior, keys) - shift) * scale,
        decode=lambda latents: stage.decode(latents / scale + shift),
    )


def fingerprint(variables: PyTree[Array]) -> str:
    """Sixteen digits that every bit of every parameter changes."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(variables):
        array = np.asarray(leaf)
        digest.update(f'{jax.tree_util.keystr(path)} {array.dtype} {array.shape}'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def single(x: Array) -> Array:
    return jnp.asarray(x, jnp.float32)


def image(x: Array) -> Images:
    return jnp.clip(single(x), -1, 1)
