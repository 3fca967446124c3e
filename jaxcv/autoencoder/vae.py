"""The variational autoencoder (Kingma and Welling, 2014): a picture as one vector, and bounds of
its likelihood.

    module = VAE(size=(32, 32), latents=16)
    posterior = module.apply(variables, images, method='encode')
    z = sample(posterior, keys)
    log_likelihood = module.apply(variables, images, z, method='log_likelihood')
    loss = -elbo(log_likelihood, posterior, beta=4.0)

`KLAutoencoder` has the same trunk and posteriors that are small images; the bounds are for both.
Everything is in nats per sample, and `bits_per_dim` makes bits of them.
"""

import math
from collections.abc import Callable, Sequence

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.autoencoder.kl import BOUNDS, Gaussian, halves, kl, sample
from jaxcv.errors import UserError
from jaxcv.nn import Dense

Images = Float[Array, 'b h w c']
LOG_2_PI = math.log(2 * math.pi)


class VAE(linen.Module):
    """Images [b h w c] in [-1, 1] of one `size` <-> vectors [b latents].

    The trunk is that of `KLAutoencoder`; linear layers lead from its last maps, of `maps` channels,
    to the posterior, and back.
    """

    size: tuple[int, int]
    latents: int = 16
    maps: int = 16
    widths: Sequence[int] = (32, 64, 128)
    blocks: int = 1
    attention: Sequence[bool] | None = None  # whether a level attends; default: none does
    decoder_attention: Sequence[bool] | None = None  # default: as in the encoder
    middle_attention: bool = False
    channels: int = 3
    groups: int = 8
    activation: str = 'silu'
    dtype: jnp.dtype | None = None

    def setup(self):
        self.encoder, self.decoder = halves(self, self.maps)
        self.to_latents = Dense(2 * self.latents, dtype=self.dtype)
        factor = 2 ** (len(self.widths) - 1)
        self.grid = tuple(side // factor for side in self.size)
        self.from_latents = Dense(math.prod(self.grid) * self.maps, dtype=self.dtype)
        self.log_scale = self.param('log_scale', linen.initializers.constant(-2.0), ())

    def __call__(
        self, images: Images, keys: Key[Array, 'b'] | None = None
    ) -> tuple[Images, Gaussian]:
        """The reconstruction from a sample of the posterior (without keys: from its mode), and the
        posterior, of [b latents]."""
        posterior = self.encode(images)
        return self.decode(posterior.mean if keys is None else sample(posterior, keys)), posterior

    def encode(self, images: Images) -> Gaussian:
        if images.shape[1:3] != tuple(self.size):
            raise UserError(
                f'a VAE of images of {self.size[0]}x{self.size[1]} got '
                f'{images.shape[1]}x{images.shape[2]}; its vectors fit one size only'
            )
        y = self.to_latents(self.encoder(images).reshape(len(images), -1))
        mean, log_variance = jnp.split(y, 2, axis=-1)
        return Gaussian(mean, jnp.clip(log_variance, *BOUNDS))

    def decode(self, z: Float[Array, 'b d']) -> Images:
        return self.decoder(self.from_latents(z).reshape(len(z), *self.grid, self.maps))

    def log_likelihood(self, images: Images, z: Float[Array, 'b d']) -> Float[Array, 'b']:
        """log p(x | z): logistic around what is decoded, of one scale, which is learned."""
        return discretized_logistic(images, self.decode(z), self.log_scale)


# What the decoder's output says of an image


def gaussian(
    x: Float[Array, 'b *s'], mean: Float[Array, 'b *s'], log_std: Float[Array, '#b *#s']
) -> Float[Array, 'b']:
    """log N(x; mean, std^2), a density."""
    x, mean, log_std = (jnp.asarray(v, jnp.float32) for v in (x, mean, log_std))
    terms = jnp.square((x - mean) * jnp.exp(-log_std)) + 2 * log_std + LOG_2_PI
    return -0.5 * terms.sum(range(1, x.ndim))


def discretized_logistic(
    x: Float[Array, 'b *s'],
    mean: Float[Array, 'b *s'],
    log_scale: Float[Array, '#b *#s'],
    bins: int = 256,
) -> Float[Array, 'b']:
    """log of the mass that a logistic distribution has in the bin of x, whose value k is
    -1 + 2 k / (bins - 1); the first and the last bin reach to infinity (Kingma et al., 2016).

    log(sigmoid(b) - sigmoid(a)) = log(1 - e^(a - b)) + log sigmoid(b) + log sigmoid(-a), which is
    exact in both tails."""
    x, mean, log_scale = (jnp.asarray(v, jnp.float32) for v in (x, mean, log_scale))
    half, inverse = 1 / (bins - 1), jnp.exp(-log_scale)
    low, high = (x - half - mean) * inverse, (x + half - mean) * inverse
    below, above = jax.nn.log_sigmoid(-low), jax.nn.log_sigmoid(high)
    within = jnp.log(-jnp.expm1(-2 * half * inverse)) + below + above
    first, last = x < -1 + half, x > 1 - half
    terms = jnp.where(first, above, jnp.where(last, below, within))
    return terms.sum(range(1, x.ndim))


# Bounds


def elbo(
    log_likelihood: Float[Array, 'b'], posterior: Gaussian, beta: float = 1.0
) -> Float[Array, 'b']:
    """log p(x | z) - beta KL(q(z | x) || N(0, 1)), at most log p(x) in the mean over z for beta at
    least 1; more than 1 trades likelihood for independent latents (Higgins et al., 2017)."""
    return log_likelihood - beta * kl(posterior)


def importance_bound(
    log_likelihood: Callable[[Float[Array, 'b *s']], Float[Array, 'b']],
    posterior: Gaussian,
    keys: Key[Array, 'b'],
    samples: int,
) -> Float[Array, 'b']:
    """log of the mean of p(x | z) p(z) / q(z | x) over samples of q (Burda et al., 2016). In the
    mean it rises with their number, from the ELBO to log p(x).

    log_likelihood: z -> log p(x | z)."""
    mean, log_variance = (x.astype(jnp.float32) for x in posterior)
    axes = range(1, mean.ndim)

    def log_ratio(i):
        own = jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
        z = sample(Gaussian(mean, log_variance), own)
        log_q = -0.5 * (jnp.square(z - mean) * jnp.exp(-log_variance) + log_variance)
        return log_likelihood(z) + (-0.5 * jnp.square(z) - log_q).sum(axes)

    ratios = jax.lax.map(log_ratio, jnp.arange(samples))
    return jax.nn.logsumexp(ratios, axis=0) - math.log(samples)


def bits_per_dim(log_mass: Float[Array, 'b'], dims: int) -> Float[Array, 'b']:
    """-log2 p / D of 8-bit values. From a density of values in [-1, 1] instead,
    `jaxcv.diffusion.likelihood.bits_per_dim`."""
    return -log_mass / (dims * math.log(2))
