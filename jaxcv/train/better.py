"""Which of two values of a metric is the better one, by its name."""

from collections.abc import Iterable

# Metrics of which less is better, by the end of their names.
LOWER = (
    'loss', 'error', 'nll', 'perplexity', 'frechet', 'bits_per_dim', 'mse', 'mae', 'lpips',
    'kernel_distance',
)  # fmt: skip
# What a run is judged by where nothing else is asked for, first to last.
PREFERRED = ('accuracy', 'psnr', 'ssim', 'episode_return', 'frechet', 'bits_per_dim', 'loss')


def ranked(metrics: Iterable[str]) -> list[str]:
    """What a run is judged by first, the others in their order."""
    metrics = list(metrics)
    first = [name for name in PREFERRED if name in metrics]
    return first + [name for name in metrics if name not in first]


def direction(metric: str) -> str:
    """'min' for a metric of which less is better, else 'max'."""
    return 'min' if metric.split('/')[-1].endswith(LOWER) else 'max'
