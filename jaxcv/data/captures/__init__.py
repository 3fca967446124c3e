"""Photographs with cameras, read from disk: for radiance fields and Gaussian splats.

`read` finds the format by what lies in the folder; `blender.read`, `colmap.read` and `llff.read`
are the formats. Cameras are OpenCV's, and a world is never moved without `Capture.transform`
saying so.
"""

from jaxcv.data.captures import blender, colmap, llff, ply, rendered
from jaxcv.data.captures.capture import Capture, Points, moved
from jaxcv.data.captures.frames import Frames, frames
from jaxcv.data.captures.llff import ndc
from jaxcv.data.captures.read import read

__all__ = [
    'Capture',
    'Frames',
    'Points',
    'blender',
    'colmap',
    'frames',
    'llff',
    'moved',
    'ndc',
    'ply',
    'read',
    'rendered',
]
