"""Convolutions as linen modules; the work is in `jaxcv.nn.convolve`."""

from collections.abc import Sequence

from flax import linen
from flax.linen.dtypes import promote_dtype
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn.convolve import Padding, Sizes, convolve, convolve_transpose


class Conv(linen.Module):
    """Convolution, channels last; 2-D or 3-D by the length of `kernel_size`.

    Parameters: `kernel` [*kernel_size, channels / groups, features] and `bias` [features].
    `groups` equal to the number of channels is a depthwise convolution. `padding` is 'SAME',
    'VALID', one number for all sides, or per axis a number or a pair (low, high).
    """

    features: int
    kernel_size: Sequence[int] = (3, 3)
    strides: Sizes = 1
    padding: Padding = 'SAME'
    dilation: Sizes = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal()
    bias_init: linen.initializers.Initializer = linen.initializers.zeros
    dtype: jnp.dtype | None = None
    param_dtype: jnp.dtype = jnp.float32

    @linen.compact
    def __call__(self, x: Float[Array, 'b *s c']) -> Float[Array, 'b *t d']:
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param('bias', self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if bias is None else y + bias


class ConvTranspose(linen.Module):
    """Transposed convolution, channels last: the gradient of `Conv` with respect to its input.

    Parameters: `kernel` [*kernel_size, features / groups, channels], that of the `Conv` it is the
    gradient of (torch's weight (channels, features / groups, *k) with its first two axes moved
    last and swapped), and `bias` [features]. 'SAME' multiplies the size by the strides; the other
    paddings are those of `convolve_transpose`, which are torch's.
    """

    features: int
    kernel_size: Sequence[int]
    strides: Sizes = 1
    padding: Padding = 'SAME'
    dilation: Sizes = 1
    groups: int = 1
    output_padding: Sizes = 0
    use_bias: bool = True
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal(
        in_axis=-1, out_axis=-2
    )
    bias_init: linen.initializers.Initializer = linen.initializers.zeros
    dtype: jnp.dtype | None = None
    param_dtype: jnp.dtype = jnp.float32

    @linen.compact
    def __call__(self, x: Float[Array, 'b *s c']) -> Float[Array, 'b *t d']:
        shape = (*self.kernel_size, self.features // self.groups, x.shape[-1])
        kernel = self.param('kernel', self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param('bias', self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve_transpose(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            output_padding=self.output_padding,
        )
        return y if bias is None else y + bias
