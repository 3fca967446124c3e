"""The launcher: one config, one run directory.

    python -m experiments.main --config=configs/recognition/digits.py --workdir=runs/digits

Any field of the config can be set by --config.section.field=value. A run that was interrupted
continues; a finished one shows its result. Several processes: give each --coordinator=HOST:PORT
--processes=N --process=I (or JAXCV_COORDINATOR, JAXCV_PROCESSES, JAXCV_PROCESS), or start them with
SLURM, MPI or on a TPU pod, which are recognized.
"""

import os

from absl import flags

import experiments
from experiments import command
from jaxcv.train import config as configs
from jaxcv.train import machine, run

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
    file = command.config_file()
    config = configs.load(file, argv[1:])
    workdir = command.workdir(file)
    machine.start(config, FLAGS.coordinator, FLAGS.processes, FLAGS.process)
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


if __name__ == '__main__':
    command.launch(main, __doc__)
