"""Timing two sides in turn, so that whatever else the machine does hits both alike."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def once(call: Callable[[], Any]) -> float:
    """Seconds of one call, its result waited for."""
    start = time.perf_counter()
    wait(call())
    return time.perf_counter() - start


def wait(result: Any) -> None:
    """JAX returns before it has computed; what is not JAX's passes through."""
    import jax

    jax.block_until_ready(result)


def alternate(
    *calls: Callable[[], Any], repeats: int = 10, warmup: int = 1, pause: float = 0.0
) -> list[dict[str, float]]:
    """Minimum and median seconds of each call, the calls measured in turn.

    `pause` seconds go by before each measurement: the threads of some libraries (OpenMP) keep
    spinning after their work, and would take the cores from whoever comes next.
    """
    for call in calls:
        for _ in range(warmup):
            wait(call())
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            time.sleep(pause)
            taken.append(once(call))
    return [{'min': min(t), 'median': statistics.median(t)} for t in times]
