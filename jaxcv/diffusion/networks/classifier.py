"""A classifier of noisy pictures, whose gradient guides (Dhariwal and Nichol, 2021, section 4).

logits = classified(network, x, level)                 # network: (x, time) -> logits
denoise = guidance.classifier(denoise, lambda x, level: log_prob(network, x, level, labels), scale)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.diffusion.networks.condition import Condition, Embedding
from jaxcv.diffusion.process import Level, per_sample
from jaxcv.errors import UserError
from jaxcv.nn.attention import Attention, SelfAttention
from jaxcv.nn.conv import Conv
from jaxcv.nn.dense import Dense
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.patchify import positions
from jaxcv.nn.residual import ResidualBlock

ZEROS = linen.initializers.zeros
Network = Callable[[Float[Array, 'b h w c'], Float[Array, 'b']], Float[Array, 'b k']]


class NoisyClassifier(linen.Module):
    """The downward half of a U-Net, told where each pixel is, then attention pooling.

    Level i has `blocks` residual blocks of `widths[i]` channels, and between levels one more halves
    the image. Time scales and shifts the norms of all of them. In the deepest `attended` levels
    self-attention follows each block, with heads of `head_width` channels. At the end the mean over
    positions attends to all of them, and is added to what it finds. A fresh network gives every
    class the same probability.

    `groups` are those of the norms, `time_width` the channels of the embedding of time. Default
    widths are for pictures of 64x64, with attention at 16x16 and 8x8.
    """

    num_classes: int
    widths: Sequence[int] = (64, 128, 256, 256)
    blocks: int = 2
    attended: int = 2
    head_width: int = 64
    groups: int = 32
    time_width: int | None = None  # default: 4 * widths[0]
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c'], time: Float[Array, 'b']) -> Float[Array, 'b k']:
        embedding = self.embedding(time)
        y = Conv(self.widths[0], dtype=self.dtype, name='conv_in')(x)
        # Through much noise a class is seen in single pixels, so it matters where they are.
        place = positions(*x.shape[1:3], self.widths[0]).reshape(*x.shape[1:3], -1)
        y = y + jnp.asarray(place, y.dtype)
        for level, width in enumerate(self.widths):
            for i in range(self.blocks):
                y = self.residual(width, f'level{level}_block{i}')(y, embedding)
                if level >= len(self.widths) - self.attended:
                    y = self.attention(width, f'level{level}_attention{i}')(y)
            if level < len(self.widths) - 1:
                y = self.residual(width, f'level{level}_downsample', 'down')(y, embedding)
        y = jax.nn.silu(GroupNorm(self.groups, dtype=self.dtype, name='norm_out')(y))
        y = self.pooled(y.reshape(len(y), -1, y.shape[-1]))
        dense = Dense(self.num_classes, kernel_init=ZEROS, dtype=self.dtype, name='head')
        return dense(y).astype(jnp.float32)

    def embedding(self, time):
        features = self.time_width or 4 * self.widths[0]
        embed = Embedding(features, self.widths[0], dtype=self.dtype, name='embedding')
        return sum(embed(time, Condition()))

    def residual(self, width, name, resize=None):
        return ResidualBlock(
            width,
            self.groups,
            modulation='scale_shift',
            resize=resize,
            out_init=ZEROS,
            dtype=self.dtype,
            name=name,
        )

    def attention(self, width, name):
        return SelfAttention(
            min(self.head_width, width),
            self.groups,
            implementation=self.implementation,
            dtype=self.dtype,
            name=name,
        )

    def pooled(self, y):
        """[b n c] -> [b c]."""
        mean, head_width = y.mean(1, keepdims=True), min(self.head_width, y.shape[-1])
        attention = Attention(
            y.shape[-1] // head_width,
            head_width,
            implementation=self.implementation,
            dtype=self.dtype,
            name='pool',
        )
        return (mean + attention(mean, y))[:, 0]


def classified(network: Network, x: Float[Array, 'b h w c'], level: Level) -> Float[Array, 'b k']:
    """Logits of x at a level [] or [b]. The network sees x / sqrt(alpha^2 + sigma^2), which is of
    about unit size on every path."""
    size = per_sample(jnp.hypot(level.alpha, level.sigma), x)
    return network(x / size, jnp.broadcast_to(level.time, x.shape[:1]))


def log_prob(
    network: Network, x: Float[Array, 'b h w c'], level: Level, labels: Int[Array, 'b']
) -> Float[Array, 'b']:
    """log p(label | x)."""
    logs = jax.nn.log_softmax(classified(network, x, level))
    return jnp.take_along_axis(logs, labels[:, None], axis=1)[:, 0]


class Guide(NamedTuple):
    """What a run that needs a classifier of noisy pictures receives."""

    log_prob: Callable[..., Float[Array, 'b']]  # (x, level, labels [b]), at levels of its process
    process: Mapping[str, Any]  # `config.process`
    shape: tuple[int, ...]  # of one x


def require(guide: Guide, path: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """An error if the guide knows other levels or pictures than a run with this `config.process`.
    Which times either was trained at does not matter."""
    own, other = ({k: v for k, v in p.items() if k != 'draw'} for p in (guide.process, path))
    if own != other:
        raise UserError(
            f'the classifier was trained on the process {own}, but the pictures go along {other}: '
            'give both runs the same config.process'
        )
    if guide.shape != shape:
        raise UserError(
            f'the classifier was trained on pictures of {guide.shape}, but is to guide {shape}'
        )
