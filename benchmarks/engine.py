"""The engine's figures: the convolutions it rests on, and what it adds around a step."""

from benchmarks import convolutions, loop
from benchmarks.case import Case

CASES: list[Case] = [*convolutions.CASES, *loop.CASES]
