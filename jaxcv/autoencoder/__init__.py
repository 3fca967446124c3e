"""Autoencoders: pictures as small images of latents, in which other models learn.

    module = KLAutoencoder(widths=(64, 128, 256), blocks=2)
    posterior = module.apply(variables, images, method='encode')
    images = module.apply(variables, sample(posterior, keys), method='decode')

`losses` has what they are trained with, `stage` how other models see them, `diffusers` reads and
writes the released ones. Those of codes are in `jaxcv.tokens`.
"""

from jaxcv.autoencoder.kl import Gaussian, KLAutoencoder, kl, sample, standardization

__all__ = [
    'Gaussian',
    'KLAutoencoder',
    'kl',
    'sample',
    'standardization',
]
