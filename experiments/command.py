"""What the launchers share: flags that reach into the config, mistakes told in one line, signals
turned into exit codes."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from jaxcv.errors import UserError
from jaxcv.train import config as configs


def launch(main: Callable[[Sequence[str]], None], doc: str) -> None:
    """Runs `main(argv)`, in which argv[1:] are the overrides of the config, 'field=value'."""
    from jaxcv.train.interrupt import Interrupted

    # What matters of it, the engine says.
    logging.set_verbosity(logging.WARNING)
    logging.get_absl_logger().addFilter(lambda record: 'orbax' not in record.pathname)
    try:
        app.run(lambda argv: _guarded(main, argv), flags_parser=lambda argv: parse(argv, doc))
    except Interrupted as stop:
        print(stop, file=sys.stderr, flush=True)
        os._exit(128 + stop.number)


def parse(argv: Sequence[str], doc: str) -> list[str]:
    """Flags proper to absl; `--config.field=value` (or two words) to the config."""
    known, overrides, words = [argv[0]], [], iter(argv[1:])
    for word in words:
        if word.lstrip('-').startswith('config.') and word.startswith('-'):
            name, equals, value = word.lstrip('-').removeprefix('config.').partition('=')
            overrides.append(f'{name}={value if equals else next(words, "")}')
        else:
            known.append(word)
    if {'-h', '--help', '-help'} & set(known):
        print(f'{doc}\n{flags.FLAGS.main_module_help()}\n\nconfigs:\n  {choices()}')
        sys.exit(0)
    return flags.FLAGS(known) + overrides


def config_file() -> str:
    """The value of --config, which every launcher has."""
    if not flags.FLAGS.config:
        raise UserError(f'--config is missing; choose one of\n  {choices()}')
    return flags.FLAGS.config


def workdir(file: str) -> Path:
    """The value of --workdir, or where the runs of a config file go."""
    return Path(flags.FLAGS.workdir or f'runs/{Path(file.partition(":")[0]).stem}')


def trained(config, workdir: Path) -> Any:
    """What the run in `workdir` exports, which is finished first."""
    import experiments
    from jaxcv.train import run

    experiment = experiments.build(config, workdir.absolute().parent / 'needs', devices='auto')
    result = run(experiment, config, workdir, devices='auto')
    if not result.fresh:
        print(f'{workdir} was finished before, at step {result.step:,}')
    return experiment.export(result.state) if experiment.export else None


def assignments(overrides: Sequence[str]) -> dict[str, str]:
    """{'field': 'value'} of ['field=value']."""
    for word in overrides:
        if '=' not in word:
            raise UserError(f'{word!r} is no flag; flags look like --name=value')
    return dict(word.split('=', 1) for word in overrides)


def choices() -> str:
    return '\n  '.join(configs.available())


def _guarded(main, argv):
    try:
        main(argv)
    except UserError as error:
        mistake = str(error)
    except RuntimeError as error:  # what a callback of a program raises arrives as text
        _, found, mistake = str(error).rpartition('UserError: ')
        if not found:
            raise
    else:
        return
    print(f'error: {mistake.strip()}', file=sys.stderr, flush=True)
    sys.exit(2)
