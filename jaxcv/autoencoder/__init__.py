"""Autoencoders: pictures as small images of latents, in which other models learn.

    module = KLAutoencoder(widths=(64, 128, 256), blocks=2)
    posterior = module.apply(variables, images, method='encode')
    images = module.apply(variables, sample(posterior, keys), method='decode')

`vq` has the discrete kind, `losses` what both are trained with, `diffusers` reads and writes the
released ones.
"""

from jaxcv.autoencoder.kl import Gaussian, KLAutoencoder, kl, sample, standardization
from jaxcv.autoencoder.vq import Quantized, VQAutoencoder, nearest, quantize

__all__ = [
    'Gaussian',
    'KLAutoencoder',
    'Quantized',
    'VQAutoencoder',
    'kl',
    'nearest',
    'quantize',
    'sample',
    'standardization',
]
