"""Gaussian splatting: scenes of Gaussians drawn on the screen (Kerbl et al. 2023).

splats      what is drawn; `activated` makes it from the unconstrained `Gaussians` that are trained
covariance  shapes from rotations and scales
projection  Gaussians on the screen
tiles       who touches which tile, front to back, under one capacity
blend       colors of pixels, and the exact gradient
rasterize   all of that
files       scenes of other programs
surfels     disks, whose depth and normals are those of surfaces
converted   Gaussians of a scene that is something else, such as a radiance field

initial     where training begins
losses      what is minimized, and how fast: `rates`
population  rows with room for Gaussians that come and go
density     cloning, splitting and pruning, as in 3DGS; `mcmc` moves and adds samples instead
strategies  one of these between steps, on the host
deformation scenes that move; `appearance` of photographs; these and cameras are learned `beside`
"""

from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.projection import Projected, project
from jaxcv.splat.rasterize import Rendering, rasterize
from jaxcv.splat.splats import Splats, activated

__all__ = ['Gaussians', 'Projected', 'Rendering', 'Splats', 'activated', 'project', 'rasterize']
