"""What a run leaves behind: metrics.jsonl, TensorBoard events, pictures and videos."""

import itertools
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxcv.errors import UserError
from jaxcv.train.events import Events, starts
from jaxcv.viz import files
from jaxcv.viz.media import Media

RESERVED = {'step', 'phase', 'time'}


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file at once: a reader, or a crash, sees the old one or the new one."""
    write_text(path, json.dumps(data, indent=2) + '\n')


def write_text(path: Path, text: str) -> None:
    """Writes a text file at once."""
    draft = path.with_name(f'.{path.name}.{os.getpid()}')
    draft.write_text(text)
    draft.replace(path)


def read(workdir: Path) -> list[dict]:
    """The rows of metrics.jsonl; a last line that a crash cut short is left out."""
    file = Path(workdir) / 'metrics.jsonl'
    rows = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def series(rows: list[dict], phase: str) -> dict[str, tuple[list[int], list[float]]]:
    """(steps, values) of every metric of a phase, without the missing values."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for row in rows:
        if row['phase'] != phase:
            continue
        for name, value in row.items():
            if name not in RESERVED and value is not None:
                steps, values = found.setdefault(name, ([], []))
                steps.append(row['step'])
                values.append(value)
    return found


def seconds(workdir: Path, rows: list[dict]) -> float:
    """How long the run was at work: in each session from its start to its last row. What passed
    between an interruption and the resumption does not count."""
    times = [row['time'] for row in rows]
    began = starts(Path(workdir) / 'tensorboard') or times[:1]
    total = 0.0
    for start, end in itertools.pairwise([*began, math.inf]):
        total += max((time for time in times if start <= time < end), default=start) - start
    return total


def clock(workdir: Path, rows: list[dict]) -> list[float]:
    """For each row, how many seconds the run had trained by then: evaluations, which end with their
    row, do not count, nor does what passed between an interruption and the resumption."""
    began = starts(Path(workdir) / 'tensorboard') or [row['time'] for row in rows[:1]]
    total, last, found = 0.0, -math.inf, []
    for row in rows:
        last = max([last, *(start for start in began if start <= row['time'])])
        if row['phase'] == 'train':
            total += row['time'] - last
        last = row['time']
        found.append(total)
    return found


class Records:
    """The open records of a run that stands at `step`. Rows of later steps, which an interrupted
    run left behind, are dropped: each (step, phase) is there once. Only process 0 writes."""

    def __init__(self, workdir: Path, *, step: int):
        self.workdir, self.latest = Path(workdir), {}
        self.writes = jax.process_index() == 0
        if not self.writes:
            return
        kept = [row for row in read(workdir) if row['step'] <= step]
        path = self.workdir / 'metrics.jsonl'
        write_text(path, ''.join(json.dumps(row) + '\n' for row in kept))
        self.file = open(path, 'a')  # noqa: SIM115 (closed by `close`)
        self.events = Events(self.workdir / 'tensorboard', step)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, step: int, phase: str, metrics: Mapping[str, float]) -> None:
        """One line. What is not a finite number becomes null."""
        metrics = {name: float(value) for name, value in metrics.items()}
        self.latest = metrics
        if taken := RESERVED & metrics.keys():
            raise UserError(f'a metric is called {min(taken)!r}, which each line of records has')
        if not self.writes:
            return
        row = {'step': step, 'phase': phase, 'time': round(time.time(), 3)}
        row |= {name: x if math.isfinite(x) else None for name, x in metrics.items()}
        self.file.write(json.dumps(row) + '\n')
        self.file.flush()
        self.events.write(step, {f'{phase}/{name}': value for name, value in metrics.items()})

    def media(self, step: int, media: Mapping[str, Media]) -> None:
        """media/<name>/<step>.png or .mp4, with captions in media/index.json."""
        if not self.writes:
            return
        folder = self.workdir / 'media'
        index = folder / 'index.json'
        captions = json.loads(index.read_text()) if index.exists() else {}
        for name, item in media.items():
            path = files.save(item, folder / name / f'{step:08d}')
            still = path if path.suffix == '.png' else path.with_suffix('.gif')
            if still.exists():  # long videos have none
                self.events.picture(step, f'media/{name}', still.read_bytes())
            captions[str(path.relative_to(folder))] = item.caption
        folder.mkdir(exist_ok=True)
        write_json(index, captions)

    def close(self) -> None:
        if self.writes:
            self.file.close()
            self.events.close()
