"""Pictures and videos as files that any browser shows."""

import io
import os
import subprocess
from pathlib import Path

import numpy as np

from jaxcv.errors import UserError
from jaxcv.viz.media import Media, Picture, Video
from jaxcv.viz.pixels import encode_png, enlarge, to_uint8

LEAST = 256  # pixels of the longer side; smaller images are enlarged
GIF_FRAMES, GIF_PIXELS = 64, 320 * 320  # videos up to here get a .gif too


def save(media: Media, path: str | os.PathLike) -> Path:
    """Writes `path`.png or `path`.mp4 (and .gif, where it is short and small); the file's path.

    Small media are enlarged by an integer; videos are padded to even sides, which players need.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(media, Picture):
        pixels = enlarge(to_uint8(_checked(media.pixels, 3, path)), LEAST)
        return _write(path, '.png', encode_png(pixels))
    if not isinstance(media, Video):
        raise UserError(f'{path.parent.name} is a {type(media).__name__}, not a Picture or a Video')
    frames = enlarge(to_uint8(_checked(media.frames, 4, path)), LEAST)
    frames = np.broadcast_to(frames, (*frames.shape[:-1], 3))
    if len(frames) <= GIF_FRAMES and frames[0, ..., 0].size <= GIF_PIXELS:
        _write(path, '.gif', _gif(frames, media.fps))
    return _mp4(path, frames, media.fps)


def size(data: bytes) -> tuple[int, int]:
    """(width, height) of a PNG or GIF file, from its header."""
    if data[:3] == b'GIF':
        return int.from_bytes(data[6:8], 'little'), int.from_bytes(data[8:10], 'little')
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _checked(pixels, rank, path):
    pixels = np.asarray(pixels)
    if pixels.ndim != rank or pixels.shape[-1] not in (1, 3) or not pixels.size:
        expected = '[height, width, 1 or 3]' if rank == 3 else '[time, height, width, 1 or 3]'
        raise UserError(f'{path.parent.name}: shape {pixels.shape}, but must be {expected}')
    return pixels


def _write(path, suffix, data):
    """At once: whoever looks sees a whole file."""
    file, draft = (path.with_name(name + suffix) for name in (path.name, f'.{path.name}'))
    draft.write_bytes(data)
    return draft.replace(file)


def _mp4(path, frames, fps):
    import imageio_ffmpeg

    _, height, width, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), 'edge')
    _, height, width, _ = frames.shape
    file, draft = (path.with_name(name + '.mp4') for name in (path.name, f'.{path.name}'))
    source = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}', '-r', str(fps)]
    target = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-crf', '20', '-movflags', '+faststart']
    # Not imageio_ffmpeg's own writer: it forks with `preexec_fn`, which may deadlock under JAX's
    # threads. The group keeps Ctrl-C from the encoder.
    ran = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-v', 'error', *source, '-i', '-', *target, draft],
        input=np.ascontiguousarray(frames).data.cast('B'),
        capture_output=True,
        process_group=0,
    )
    if ran.returncode:
        raise UserError(f'{file}: ffmpeg failed: {ran.stderr.decode(errors="replace").strip()}')
    return draft.replace(file)


def _gif(frames, fps):
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    images[0].save(
        file, 'gif', save_all=True, append_images=images[1:], duration=1000 / fps, loop=0
    )
    return file.getvalue()
