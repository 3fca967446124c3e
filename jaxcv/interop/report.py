"""What did not fit between a checkpoint and a model, as one readable error."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxcv.errors import UserError

SHOWN = 10  # names of each kind


@dataclass
class Report:
    """Collected while tensors are matched; `check` raises if anything was found."""

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unruled: list[str] = field(default_factory=list)

    def compare(
        self,
        names: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
        tensors: Mapping[str, np.ndarray],
    ) -> None:
        """Notes which of `names` are missing or have another shape than expected."""
        for name, shape in zip(names, shapes, strict=True):
            if name not in tensors:
                self.missing.append(name)
            elif tensors[name].shape != shape:
                self.mismatched.append(f'{name} has {tensors[name].shape}, expected {shape}')

    def check(self, what: str) -> None:
        """Raises a UserError that lists what was found, the first ten of each kind."""
        missing = [name + _hint(name, self.unexpected) for name in self.missing]
        kinds = {
            'missing': missing,
            'unexpected': self.unexpected,
            'of another shape': self.mismatched,
            'leaves without exactly one rule': self.unruled,
        }
        found = {kind: names for kind, names in kinds.items() if names}
        if not found:
            return
        counts = ', '.join(f'{len(names)} {kind}' for kind, names in found.items())
        lines = [f'{what}: {counts}']
        for kind, names in found.items():
            more = len(names) - SHOWN
            lines.append(f'  {kind}: ' + '; '.join(names[:SHOWN]))
            lines[-1] += f'; and {more} more' if more > 0 else ''
        raise UserError('\n'.join(lines))


def _hint(name, candidates):
    nearest = difflib.get_close_matches(name, candidates, n=1)
    return f' (nearest: {nearest[0]})' if nearest else ''
