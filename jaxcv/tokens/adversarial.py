"""What generator and discriminator want of each other, one number per sample.

Logits are high for what looks real: [b], or [b h w] of patches, over which losses are means.

    game = adversary('hinge')
    game.discriminator(logits of images, logits of what was made)    # what the one minimizes
    game.generator(logits of what was made)                          # what the other does
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import choose
from jaxcv.ops import across

Logits = Float[Array, 'b *s']
Images = Float[Array, 'b h w c']
LARGEST = 1e4  # adaptive weight
EPSILON = 1e-4


class Adversary(NamedTuple):
    """Both players' losses."""

    discriminator: Callable[[Logits, Logits], Float[Array, 'b']]  # (real, fake)
    generator: Callable[[Logits], Float[Array, 'b']]  # (fake)


def hinge(real: Logits, fake: Logits) -> Float[Array, 'b']:
    """max(0, 1 - real) + max(0, 1 + fake) (Lim and Ye, 2017). VQGAN takes half of it."""
    return per_sample(jax.nn.relu(1 - real)) + per_sample(jax.nn.relu(1 + fake))


def critic(fake: Logits) -> Float[Array, 'b']:
    """-fake: the generator's side of the hinge."""
    return -per_sample(fake)


def logistic(real: Logits, fake: Logits) -> Float[Array, 'b']:
    """-log sigmoid(real) - log(1 - sigmoid(fake)) (Goodfellow et al., 2014)."""
    return per_sample(jax.nn.softplus(-real)) + per_sample(jax.nn.softplus(fake))


def non_saturating(fake: Logits) -> Float[Array, 'b']:
    """-log sigmoid(fake) (Goodfellow et al., 2014, section 3)."""
    return per_sample(jax.nn.softplus(-fake))


ADVERSARIES = {
    'hinge': Adversary(hinge, critic),
    'non_saturating': Adversary(logistic, non_saturating),
}


def adversary(name: str) -> Adversary:
    return ADVERSARIES[choose(name, ADVERSARIES, 'the adversarial loss')]


def r1(discriminate: Callable[[Images], Logits], images: Images) -> Float[Array, 'b']:
    """|grad D(x)|^2 / 2 at real images (Mescheder et al., 2018), to be multiplied by gamma. D is
    the mean over patches where there are some."""
    gradient = jax.grad(lambda x: per_sample(discriminate(x)).sum())(images)
    return 0.5 * jnp.square(gradient.astype(jnp.float32)).sum(range(1, images.ndim))


def lazily(
    penalty: Callable[[], Float[Array, 'b']], step: Int[Array, ''], every: int
) -> Float[Array, 'b']:
    """every * penalty() at steps 0, every, 2 every ..., and 0, without computing it, at others
    (Karras et al., 2020).

    An Adam that takes the penalty in every step moves about alike with the rates
    lr * c, beta1^c, beta2^c, where c = every / (every + 1)."""
    like = jax.eval_shape(penalty)
    return jax.lax.cond(
        step % every == 0,
        lambda: every * penalty(),
        lambda: jnp.zeros(like.shape, like.dtype),
    )


def started(step: Int[Array, ''], start: int) -> Float[Array, '']:
    """1 from the step `start` on, before it 0: a young reconstruction is no match for a
    discriminator, which then only disturbs it."""
    return (step >= start).astype(jnp.float32)


def adaptive_weight(
    reconstruction: Callable[[Array], Float[Array, '']],
    adversarial: Callable[[Array], Float[Array, '']],
    last: Array,
) -> Float[Array, '']:
    """The weight with which the adversarial term moves the last layer as much as the others do
    (Esser et al., 2021, eq. 7): |grad reconstruction| / (|grad adversarial| + 1e-4), at most 1e4.

    last: the kernel of the decoder's last layer. The terms are scalars, means over this device's
    batch, as functions of it. They should begin with what enters that layer: XLA does not notice
    that a decoder runs twice. The gradients are those of the global batch, and the weight is a
    constant."""
    gradients = across.mean([jax.grad(term)(last) for term in (reconstruction, adversarial)])
    first, second = map(optax.tree.norm, gradients)
    return jax.lax.stop_gradient(jnp.clip(first / (second + EPSILON), 0.0, LARGEST))


def per_sample(x: Float[Array, 'b *s']) -> Float[Array, 'b']:
    return x.astype(jnp.float32).mean(tuple(range(1, x.ndim)))
