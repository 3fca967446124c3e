"""A case: one function that measures, and the environment it has to be measured in."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.record import Record


@dataclass(frozen=True)
class Case:
    """`measure` gives one record or several. With an `environment` it runs in a process of its
    own, since the number of devices is fixed once a backend has started."""

    measure: Callable[[], Record | list[Record]]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.measure.__name__

    def run(self) -> list[Record]:
        """In this process."""
        result = self.measure()
        return [result] if isinstance(result, dict) else result


def run_apart(subject: str, case: Case) -> list[Record]:
    """Runs a case in a process with its environment."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'records.json')
        subprocess.run(
            [sys.executable, '-m', 'benchmarks.case', subject, case.name, path],
            env={**os.environ, **case.environment},
            check=True,
        )
        with open(path) as file:
            return json.load(file)


def find(subject: str, name: str) -> Case:
    cases = importlib.import_module(f'benchmarks.{subject}').CASES
    return next(case for case in cases if case.name == name)


if __name__ == '__main__':
    subject, name, path = sys.argv[1:]
    records = find(subject, name).run()
    with open(path, 'w') as file:
        json.dump(records, file)
