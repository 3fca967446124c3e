"""Seeds of one config as one program; `experiments.sweep --vmap=seed` starts it.

    python -m experiments.group --config=FILE --member=0=runs/a --member=1=runs/b --workdir=runs/ab

It trains like any run, in the workdir, and then divides the result into one run directory for
each seed.
"""

from pathlib import Path

from absl import flags

import experiments
from experiments import command
from jaxcv.errors import UserError
from jaxcv.sweep.ensemble import allowed, ensemble
from jaxcv.sweep.separate import separate
from jaxcv.train import config as configs
from jaxcv.train import machine, run

FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file, FILE[:variant].')
flags.DEFINE_string('workdir', '', 'Directory of the common run.')
flags.DEFINE_string('needs', '', 'Where needed runs live; by default beside the workdir.')
flags.DEFINE_multi_string('member', [], 'SEED=DIRECTORY, repeatedly: the runs that it is made of.')


def main(argv):
    config = configs.load(command.config_file(), argv[1:])
    if not (FLAGS.workdir and FLAGS.member):
        raise UserError('--workdir=DIRECTORY and --member=SEED=DIRECTORY are needed')
    members = {int(seed): Path(place) for seed, place in (m.split('=', 1) for m in FLAGS.member)}
    workdir = Path(FLAGS.workdir)
    allowed(config)
    machine.start(config)

    needs = FLAGS.needs or workdir.absolute().parent / 'needs'
    experiment = experiments.build(config, needs, devices='auto')
    config.seed = next(iter(members))  # of no effect: every member has its own
    together = config.copy_and_resolve_references()
    together.train.stop_on_nan = False  # one member that diverges does not end the others
    result = run(ensemble(experiment, list(members)), together, workdir, devices='auto')
    separate(result, experiment, config, members)


if __name__ == '__main__':
    command.launch(main, __doc__)
