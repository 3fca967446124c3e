"""result.json: how a run ended, for whoever comes after it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcv.train.settings import Settings


def read_result(workdir: Path) -> dict[str, Any]:
    """Its status, step, metrics and fingerprint; empty where there is none."""
    file = Path(workdir) / 'result.json'
    return json.loads(file.read_text()) if file.exists() else {}


def finished(result: Mapping[str, Any], settings: Settings) -> bool:
    """Whether the run has gone as far as `settings` ask: it may be asked to go on."""
    reached = result.get('step', 0) >= settings.steps or settings.early_stop
    return result.get('status') == 'finished' and bool(reached)
