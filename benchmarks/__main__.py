"""`python -m benchmarks SUBJECT [--json FILE] [--only NAME]`: jaxcv and a peer, timed in turn."""

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks
from benchmarks.case import run_apart
from benchmarks.record import table
from jaxcv.errors import UserError, choose

HARNESS = {'__main__', 'case', 'record', 'stepping', 'timing', 'torch_radiance', 'torch_splat'}


def subjects() -> list[str]:
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    return sorted(found - HARNESS)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description=__doc__)
    parser.add_argument('subject', help=f'one of {", ".join(subjects())}')
    parser.add_argument('--json', help='file to write the records to')
    parser.add_argument('--only', action='append', help='a case by name; may be repeated')
    given = parser.parse_args(arguments)
    subject = choose(given.subject, subjects(), 'the subject of the benchmark')
    cases = importlib.import_module(f'benchmarks.{subject}').CASES
    if given.only:
        wanted = {choose(name, [c.name for c in cases], '--only') for name in given.only}
        cases = [case for case in cases if case.name in wanted]
    if given.json and not Path(given.json).resolve().parent.is_dir():
        raise UserError(f'--json is {given.json!r}, but that folder does not exist')
    records = []
    for case in cases:
        print(f'{case.name} ...', file=sys.stderr, flush=True)
        records += run_apart(subject, case)
        # After each case, so that an interrupted run leaves what it has measured.
        if given.json:
            Path(given.json).write_text(json.dumps(records, indent=2) + '\n')
    print(table(records))


if __name__ == '__main__':
    try:
        main()
    except UserError as error:
        sys.exit(f'error: {error}')
