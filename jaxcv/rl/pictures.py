"""What a policy looks like."""

import numpy as np
from jaxtyping import Bool, UInt8

from jaxcv.viz import Video, grid

FILMED = 4  # environments in a video
FRAMES = 500  # of a video, at most


def video(frames: UInt8[np.ndarray, 't n h w 3'], running: Bool[np.ndarray, 't n']) -> Video:
    """The first episodes of n environments beside each other; each stands still at its end."""
    frames, running = np.asarray(frames), np.asarray(running)
    last = np.maximum.accumulate(np.where(running, np.arange(len(running))[:, None], 0))
    length = int(running.any(1).sum())
    beside = [grid(frames[last[t], np.arange(running.shape[1])], pad=2) for t in range(length)]
    return Video(np.stack(beside), fps=30, caption='the policy, one episode in each environment')
