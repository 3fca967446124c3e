"""Any capture, by what lies in its folder."""

from pathlib import Path

from jaxcv.data.captures import blender, colmap, llff
from jaxcv.data.captures.capture import Capture
from jaxcv.errors import UserError


def read(path: str | Path, downscale: int = 1) -> Capture:
    """The first of transforms_{train,val,test}.json, transforms.json, COLMAP's sparse/0 and
    poses_bounds.npy that lies in a folder; or one transforms file. With `downscale` 4,
    photographs are those of `images_4`."""
    path = Path(path)
    if downscale < 1:
        raise UserError(f'downscale is {downscale}, but must be 1, or 4 to read images_4')
    if blender.found(path):
        return blender.read(path, downscale)
    if colmap.found(path):
        return colmap.read(path, downscale)
    if (path / llff.FILE).is_file():
        return llff.read(path, downscale)
    if not path.is_dir():
        raise UserError(f'there is no folder {path}')
    held = ', '.join(sorted(file.name for file in path.iterdir())[:9]) or 'nothing'
    raise UserError(
        f'{path} has neither transforms.json, transforms_train.json, sparse/0 nor {llff.FILE}; it '
        f'holds {held}'
    )
