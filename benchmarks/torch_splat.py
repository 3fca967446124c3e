"""A rasterizer of Gaussians in plain torch, as its tutorials have it: a loop over the tiles of the
image, all else vectorized, gradients by autograd. The peer of `benchmarks.splat`, which draws the
same: the same tiles, the same thresholds, the same early end."""

import importlib.util

NAME = 'torch, 2 threads'
TILE, CHUNK = 8, 64  # pixels along a side; Gaussians of a tile at once
BLUR, FAINT, OPAQUEST, STOP, NEAR = 0.3, 1 / 255, 0.99, 1e-4, 0.01
MARGIN = 0.15  # of the image's size: beyond it the Jacobian stays what it is at the border


def installed() -> bool:
    return importlib.util.find_spec('torch') is not None


def tensors(tree):
    """A NamedTuple of arrays as tensors on which a gradient can be taken."""
    import numpy as np
    import torch

    return type(tree)(*(torch.tensor(np.asarray(x), requires_grad=True) for x in tree))


def rasterize(splats, pose, focal, center, width: int, height: int):
    """Color [h w c], alpha [h w] and accumulated depth [h w] of `jaxcv.splat.Splats` of tensors, as
    a pinhole camera without a lens sees them."""
    import torch

    means, conics, boxes, depths, opacities, colors = project(
        splats, pose, focal, center, width, height
    )
    members, counts = lists(means.detach(), boxes, depths.detach(), width, height)
    one = torch.ones_like(depths)[:, None]
    table = torch.cat([means, conics, opacities[:, None], colors, depths[:, None], one], -1)
    columns, rows = -(-width // TILE), -(-height // TILE)
    along = torch.arange(TILE, dtype=means.dtype) + 0.5
    y, x = (each.reshape(-1) for each in torch.meshgrid(along, along, indexing='ij'))
    # All at once and split: of indices or slices one by one, the gradients are as large as the
    # table each.
    found = torch.nn.functional.embedding(members, table).split(counts)
    tiles = [
        blend(some, x + TILE * (tile % columns), y + TILE * (tile // columns))
        for tile, some in enumerate(found)
    ]
    image = torch.stack(tiles).reshape(rows, columns, TILE, TILE, -1).transpose(1, 2)
    image = image.reshape(rows * TILE, columns * TILE, -1)[:height, :width]
    return image[..., :-2], image[..., -1], image[..., -2]


def blend(rows, x, y):
    """The sum of weight times feature at a tile's pixels [p c], front to back."""
    import torch

    total, light = x.new_zeros(len(x), rows.shape[1] - 6), torch.ones_like(x)
    for some in rows.split(CHUNK):
        mean_x, mean_y, xx, xy, yy, opacity = some[:, :6].T[..., None]
        dx, dy = x - mean_x, y - mean_y
        power = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        alpha = opacity * torch.exp(-power)
        alpha = torch.where(alpha >= FAINT, alpha.clamp(max=OPAQUEST), 0)
        after = torch.cat([light[None], light * torch.cumprod(1 - alpha, 0)])
        before, light = after[:-1], after[-1]
        total = total + torch.where(before > STOP, alpha * before, 0).T @ some[:, 6:]
        if not (light > STOP).any():
            break
    return total


def project(splats, pose, focal, center, width, height):
    """Means, inverse covariances (xx, xy, yy), half the boxes of what is drawn, depths, opacities
    and colors, of those that are seen."""
    import torch

    points = splats.means @ pose[:, :3].T + pose[:, 3]
    seen = (points[:, 2] > NEAR) & (splats.opacities >= FAINT)
    points, opacities, colors = points[seen], splats.opacities[seen], splats.colors[seen]
    plane = points[:, :2] / points[:, 2:]
    means = plane * focal + center

    size = torch.tensor([width, height], dtype=points.dtype)
    low = (-center - MARGIN * size) / focal
    high = (size - center + MARGIN * size) / focal
    clipped = torch.minimum(torch.maximum(plane, low), high)
    scale = focal / points[:, 2:]
    zero = torch.zeros_like(scale[:, 0])
    across = torch.stack([scale[:, 0], zero, -scale[:, 0] * clipped[:, 0]], -1)
    down = torch.stack([zero, scale[:, 1], -scale[:, 1] * clipped[:, 1]], -1)
    axes = rotation(splats.rotations[seen]) * splats.scales[seen, None]
    flat = torch.stack([across, down], 1) @ pose[:, :3] @ axes
    covariance = flat @ flat.transpose(1, 2) + BLUR * torch.eye(2, dtype=points.dtype)
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    conics = torch.stack([yy, -xy, xx], -1) / (xx * yy - xy * xy)[:, None]
    reach = torch.sqrt(2 * torch.log((opacities / FAINT).clamp(min=1)))[:, None]
    boxes = (reach * torch.stack([xx, yy], -1).sqrt()).detach()
    return means, conics, boxes, points[:, 2], opacities, colors


def rotation(quaternions):
    import torch

    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def lists(means, boxes, depths, width, height):
    """The Gaussians whose boxes touch each tile, front to back, and how many these are."""
    import torch

    columns, rows = -(-width // TILE), -(-height // TILE)
    last = torch.tensor([columns, rows])
    first = (((means - boxes) / TILE).floor().clamp(min=0)).long().minimum(last)
    end = (((means + boxes) / TILE).floor() + 1).clamp(min=0).long().minimum(last)
    sides = (end - first).clamp(min=0)
    order = torch.argsort(depths, stable=True)
    counts = sides.prod(-1)[order]
    owner = torch.repeat_interleave(order, counts)
    place = torch.arange(len(owner)) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    wide = sides[owner, 0]
    tile = (first[owner, 1] + place // wide) * columns + first[owner, 0] + place % wide
    tile, places = torch.sort(tile, stable=True)
    return owner[places], torch.bincount(tile, minlength=rows * columns).tolist()
