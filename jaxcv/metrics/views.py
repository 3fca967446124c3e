"""How alike are what is rendered of a scene and the photograph from the same place?"""

from collections.abc import Callable

from jaxtyping import Array, Float

from jaxcv.metrics.pairs import psnr
from jaxcv.metrics.perceptual import perceptual
from jaxcv.metrics.structure import ssim

Picture = Float[Array, 'h w 3']  # in [0, 1]


def view_scores(
    features: Callable | None = None,
) -> Callable[[Picture, Picture], dict[str, Float[Array, '']]]:
    """(picture, true one) -> PSNR, SSIM and, if there are `features` (of images in [-1, 1], as maps
    of layers), their distance: LPIPS without its linear layers."""

    def scores(color, truth):
        pair = color[None], truth[None]
        found = {'psnr': psnr(*pair)[0], 'ssim': ssim(*pair)[0]}
        if features is not None:
            found['perceptual'] = perceptual(features)(*(2 * x - 1 for x in pair))[0]
        return found

    return scores
