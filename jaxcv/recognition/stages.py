"""The plan of a network in stages: which block has which width and which rate of dropping."""

from collections.abc import Iterator, Sequence

from jaxcv.errors import UserError


def blocks(
    depths: Sequence[int], widths: Sequence[int], drop_path: float
) -> Iterator[tuple[int, int, int, float]]:
    """(stage, block in its stage, width, rate of stochastic depth) of every block in order.

    The rate rises linearly with depth, from 0 to `drop_path` (Huang et al., 2016, section 3).
    """
    if len(depths) != len(widths):
        raise UserError(f'{len(depths)} depths and {len(widths)} widths; each stage needs both')
    last, count = max(sum(depths) - 1, 1), 0
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for block in range(depth):
            yield stage, block, width, drop_path * count / last
            count += 1
