"""Multi-scale residual quantization (Tian et al., 2024, VAR): coarse codes first."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import UserError
from jaxcv.nn.convolve import convolve
from jaxcv.tokens import codebook as codebooks
from jaxcv.tokens.interpolation import area, bicubic
from jaxcv.tokens.nearest import nearest, rows
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.rotation import passed
from jaxcv.tokens.vq import Usage, followed, opened, shifted, unused

Image = Float[Array, 'b h w d']


class Scale(NamedTuple):
    """Where the codes of a scale are: `size` x `size` of them, row by row, from `start`."""

    index: int
    size: int
    start: int
    stop: int


@dataclass(frozen=True)
class Multiscale(Quantizer):
    """z is approximated by a sum over scales of phi_k(up(codebook[codes_k])).

    What is left of z is averaged down to the size of a scale, its vectors are replaced by the
    nearest codes, and these, cubically interpolated to the size of z and convolved, are taken off
    (algorithms 1 and 2). Codes are [b n], scale after scale. One codebook serves all scales. The
    loss is the mean over scales k of that of `VQ` for z and the sum of the first k terms.

    scales: sides of the square images of codes; the last is that of z.
    phis: how many convolutions there are, each of which several neighboring scales share;
      phi(h) = (1 - mix) h + mix (3x3 convolution of h). 0: none.
    rotation, kmeans, revive, decay: as in `VQ`.
    """

    codes: int = 512
    scales: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    beta: float = 0.25
    phis: int = 4
    mix: float = 0.5
    rotation: bool = False
    kmeans: int = 0
    revive: float = 0.0
    decay: float = 0.99

    def __post_init__(self):
        object.__setattr__(self, 'scales', tuple(self.scales))
        if not self.scales or list(self.scales) != sorted(set(self.scales)):
            raise UserError(f'scales are {self.scales}, but must grow, from at least 1')

    def layout(self) -> list[Scale]:
        """Of the codes, for those who decode a scale at a time."""
        ends = np.cumsum([size**2 for size in self.scales]).tolist()
        starts = [0, *ends[:-1]]
        return [Scale(i, *s) for i, s in enumerate(zip(self.scales, starts, ends, strict=True))]

    def grid(self, h, w):
        self.check(h, w)
        return (sum(size**2 for size in self.scales),)

    def init(self, key, width):
        first, second = jax.random.split(key)
        params = {'codebook': codebooks.small(first, self.codes, width)}
        if self.phis:
            init = jax.nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
            kernels = jax.random.split(second, self.phis)
            params['phi'] = {
                'kernel': jnp.stack([init(key, (3, 3, width, width)) for key in kernels]),
                'bias': jnp.zeros((self.phis, width)),
            }
        return params, unused(self.codes, width, self.kmeans, self.revive)

    def __call__(self, params, state, z, keys=None):
        self.check(*z.shape[1:3])
        x, axes = z.astype(jnp.float32), range(1, z.ndim)
        raw, rest = jax.lax.stop_gradient((params['codebook'].astype(jnp.float32), x))
        if keys is not None:
            state = opened(state, raw, rest, keys, self.kmeans)
        codebook, fixed = self.codebook(params, state), rest
        total, loss, searched, found = jnp.zeros_like(x), 0.0, [], []
        for scale in self.layout():
            searched.append(self.seen(rest, scale))
            found.append(nearest(searched[-1], codebook))
            total = self.add(params, state, total, found[-1], scale)
            held = jax.lax.stop_gradient(total)
            rest = fixed - held
            loss = loss + jnp.square(fixed - total).mean(axes)
            loss = loss + self.beta * jnp.square(x - held).mean(axes)
        values = passed(total, x, self.rotation).astype(z.dtype)
        codes = jnp.concatenate(found, 1)
        if keys is not None:
            vectors = jnp.concatenate(searched, 1)
            state = followed(state, raw, vectors, codes, keys, self.decay, self.revive)
        return Quantized(values, codes, loss / len(self.scales)), state

    def lookup(self, params, state, codes: Int[Array, 'b n']) -> Image:
        total = self.blank(params, len(codes))
        for scale in self.layout():
            part = codes[:, scale.start : scale.stop]
            total = self.add(params, state, total, part, scale)
        return total

    def inputs(self, params, state, codes: Int[Array, 'b n']) -> Float[Array, 'b n d']:
        """What a transformer that predicts a scale is given at its places: `seen` of the sum of
        the scales before, zeros for the first. Of all scales at once, for training."""
        total, features = self.blank(params, len(codes)), []
        for scale in self.layout():
            features.append(self.seen(total, scale))
            part = codes[:, scale.start : scale.stop]
            total = self.add(params, state, total, part, scale)
        return jnp.concatenate(features, 1)

    def blank(self, params, batch: int) -> Image:
        """The sum before the first scale."""
        side = self.scales[-1]
        return jnp.zeros((batch, side, side, params['codebook'].shape[-1]))

    def seen(self, total: Image, scale: Scale) -> Float[Array, 'b n d']:
        """The means of a sum at the places of a scale."""
        small = area(total, scale.size)
        return small.reshape(len(total), scale.size**2, -1)

    def add(self, params, state, total: Image, codes: Int[Array, 'b n'], scale: Scale) -> Image:
        """The sum with the term of one more scale."""
        e = rows(self.codebook(params, state), codes)
        e = e.reshape(len(codes), scale.size, scale.size, -1)
        return total + self.phi(params, bicubic(e, *total.shape[1:3]), scale)

    def phi(self, params, x: Image, scale: Scale) -> Image:
        """(1 - mix) x + mix (convolution of x), by the convolution nearest to the scale."""
        if not self.phis:
            return x
        margin = 1 / (3 if self.phis == 4 else 2) / self.phis  # as released
        centers = np.linspace(margin, 1 - margin, self.phis)
        place = scale.index / max(1, len(self.scales) - 1)
        nearest_one = int(np.argmin(np.abs(centers - place)))
        kernel, bias = (params['phi'][name][nearest_one] for name in ('kernel', 'bias'))
        return (1 - self.mix) * x + self.mix * (convolve(x, kernel) + bias)

    def codebook(self, params, state: Usage | None) -> Float[Array, 'k d']:
        return shifted(params['codebook'], state)

    def check(self, h: int, w: int):
        side = self.scales[-1]
        if (h, w) != (side, side):
            raise UserError(
                f'there are {h}x{w} vectors, but the last of the scales is {side}: '
                f'end the scales with the side of a square image of vectors'
            )
