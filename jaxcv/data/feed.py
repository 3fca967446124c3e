"""Batches of a data set: held on the device when it fits, else streamed."""

from collections.abc import Mapping

import numpy as np

from jaxcv.data.batches import Held, Stream
from jaxcv.data.dataset import HELD_BYTES, Dataset, nbytes
from jaxcv.data.held import Transform, held
from jaxcv.data.stream import stream
from jaxcv.errors import choose


def batches(
    dataset: Dataset | Mapping[str, np.ndarray],
    batch_size: int,
    hold: bool | str = 'auto',
    transform: Transform | None = None,
) -> Held | Stream:
    """`Held` if `hold`, else `Stream`; 'auto' holds what decodes to at most 512 MB.

    `transform(batch, keys)` is jittable and the same for both: per-sample keys [b] in, an
    augmented batch out.
    """
    if not isinstance(hold, bool):
        choose(hold, ('auto', 'always', 'never'), 'hold')
        hold = nbytes(dataset) <= HELD_BYTES if hold == 'auto' else hold == 'always'
    if hold:
        return held(dataset, batch_size, transform)
    return stream(dataset, batch_size, transform=transform)
