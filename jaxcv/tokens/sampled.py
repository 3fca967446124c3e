"""What a prior draws."""

from typing import NamedTuple

from jaxtyping import Array, Int


class Sampled(NamedTuple):
    """Codes, and the step (1, 2 ...) that decided each; 0: it was given. A decided code never
    changes, so `where(when <= step, codes, nothing)` is what was known after a step."""

    codes: Int[Array, 'b n']
    when: Int[Array, 'b n']
