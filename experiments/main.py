"""The launcher: one config, one run directory.

    python -m experiments.main --config=configs/recognition/digits.py --workdir=runs/digits

Any field of the config can be set by --config.section.field=value. A run that was interrupted
continues; a finished one shows its result. Several processes: give each --coordinator=HOST:PORT
--processes=N --process=I (or JAXCV_COORDINATOR, JAXCV_PROCESSES, JAXCV_PROCESS), or start them with
SLURM, MPI or on a TPU pod, which are recognized.
"""

import logging
import os
import sys
from pathlib import Path

from absl import app, flags

from jaxcv.train import config as configs
from jaxcv.train import machine
from jaxcv.train.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file, FILE[:variant].')
flags.DEFINE_string('workdir', '', 'Run directory; by default runs/<config>.')
flags.DEFINE_enum('mode', 'train', ('train', 'evaluate', 'show'), 'What to do.')
flags.DEFINE_string('needs', '', 'Where needed runs live; by default beside the workdir.')
COORDINATOR, PROCESSES, PROCESS = machine.processes_from(os.environ)
flags.DEFINE_string('coordinator', COORDINATOR, 'HOST:PORT of process 0, for several processes.')
flags.DEFINE_integer('processes', PROCESSES, 'Number of processes.')
flags.DEFINE_integer('process', PROCESS, 'Number of this process.')


def main(argv):
    overrides = argv[1:]
    # Orbax narrates every save; what matters of it, the engine says.
    logging.getLogger('absl').addFilter(lambda record: 'orbax' not in record.pathname)
    if not FLAGS.config:
        raise UserError(f'--config is missing; choose one of\n  {_choices()}')
    config = configs.load(FLAGS.config, overrides)
    workdir = Path(FLAGS.workdir or Path('runs') / FLAGS.config.split('/')[-1].replace('.py', ''))
    machine.start(config, FLAGS.coordinator, FLAGS.processes, FLAGS.process)

    import experiments
    from jaxcv.train import run

    needs = FLAGS.needs or workdir.absolute().parent / 'needs'
    experiment = experiments.build(config, needs, devices='auto')
    result = run(experiment, config, workdir, mode=FLAGS.mode, devices='auto')
    if machine.primary():
        _report(result)


def _report(result):
    if not result.fresh:
        print(f'finished before, at step {result.step:,}; for another run choose another --workdir')
    for name, value in sorted(result.metrics.items()):
        if '/' not in name:
            print(f'{name:>16}  {value:.4f}')
    print(f'{"report":>16}  {result.report}')


def _choices():
    return '\n  '.join(configs.available())


def parse(argv):
    """Flags proper to absl; `--config.field=value` (or two words) to the config."""
    known, overrides, words = [argv[0]], [], iter(argv[1:])
    for word in words:
        if word.lstrip('-').startswith('config.') and word.startswith('-'):
            name, equals, value = word.lstrip('-').removeprefix('config.').partition('=')
            overrides.append(f'{name}={value if equals else next(words, "")}')
        else:
            known.append(word)
    if {'-h', '--help', '-help'} & set(known):
        print(f'{__doc__}\n{FLAGS.main_module_help()}\n\nconfigs:\n  {_choices()}')
        sys.exit(0)
    return FLAGS(known) + overrides


def launch():
    """`main`, with mistakes told in one line and signals turned into exit codes."""
    from jaxcv.train.interrupt import Interrupted

    try:
        app.run(_guarded, flags_parser=parse)
    except Interrupted as stop:
        print(stop, file=sys.stderr, flush=True)
        os._exit(128 + stop.number)


def _guarded(argv):
    try:
        main(argv)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == '__main__':
    launch()
