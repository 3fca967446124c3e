"""Metrics that several subjects share: how alike are two images (`psnr`), or two sets of images,
seen through features?

Features are [n d] of any network: the last layer of a small classifier, or Inception's. All
distances depend on the number of samples (the Frechet distance much, the kernel distance not in
expectation): compare only numbers measured with the same count.
"""

from jaxcv.metrics.frechet import Gaussian, distance, frechet_distance, gaussian
from jaxcv.metrics.inception import inception_score
from jaxcv.metrics.kernel import KernelDistance, discrepancy, kernel_distance
from jaxcv.metrics.moments import Moments, merged, moments
from jaxcv.metrics.neighbors import Overlap, overlap, radii
from jaxcv.metrics.pairs import decibels, psnr
from jaxcv.metrics.structure import ssim
from jaxcv.metrics.views import view_scores

__all__ = [
    'Gaussian',
    'KernelDistance',
    'Moments',
    'Overlap',
    'decibels',
    'discrepancy',
    'distance',
    'frechet_distance',
    'gaussian',
    'inception_score',
    'kernel_distance',
    'merged',
    'moments',
    'overlap',
    'psnr',
    'radii',
    'ssim',
    'view_scores',
]
