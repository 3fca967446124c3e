"""Surfels: flat Gaussian disks, each seen where a pixel's ray meets its plane (2DGS: Huang et al.
2024). What is seen of a surface, its depth and normals, is the mean over what is blended there:
divided by the sum of weights, as in surface splatting (Zwicker et al. 2001).

disks       what is drawn
projection  disks on the screen
blend       sums over them at pixels, and the exact gradient
rasterize   all of that
normals     of the disks, and of the surface that their depths make
"""

from jaxcv.splat.surfels.disks import Surfels, flat, flattened
from jaxcv.splat.surfels.normals import relief, unevenness
from jaxcv.splat.surfels.rasterize import Surface, rasterize

__all__ = ['Surface', 'Surfels', 'flat', 'flattened', 'rasterize', 'relief', 'unevenness']
