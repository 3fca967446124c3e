"""What `show` returns: pictures and videos, as arrays with a caption."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Picture:
    """An image: [height, width, 1 or 3], uint8 or float in [0, 1]."""

    pixels: np.ndarray
    caption: str = ''


@dataclass(frozen=True)
class Video:
    """Frames: [time, height, width, 1 or 3], uint8 or float in [0, 1]."""

    frames: np.ndarray
    fps: int = 10
    caption: str = ''


Media = Picture | Video
