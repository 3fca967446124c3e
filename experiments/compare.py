"""One score of several runs in one picture, against training time or steps.

    python -m experiments.compare --runs=runs/ngp_scene,runs/nerf_scene --metric=psnr \
        --out=curves.png

Each directory is a run, as it stands; its evaluations are drawn.
"""

from pathlib import Path

from absl import flags

from experiments import command
from jaxcv.errors import UserError, choose
from jaxcv.train import records
from jaxcv.viz import curves, save

FLAGS = flags.FLAGS
flags.DEFINE_list('runs', [], 'Run directories.')
flags.DEFINE_string('metric', '', 'The score.')
flags.DEFINE_enum('against', 'minutes', ('minutes', 'steps'), 'Of training, without evaluations.')
flags.DEFINE_string('out', 'curves.png', 'The picture.')


def main(argv):
    if not (FLAGS.runs and FLAGS.metric):
        raise UserError('--runs=DIRECTORY,DIRECTORY and --metric=NAME are needed')
    lines = {Path(run).name: curve(Path(run)) for run in FLAGS.runs}
    for name, (x, y) in lines.items():
        print(f'{name:>20}  {FLAGS.metric} {y[-1]:.4g} after {x[-1]:.4g} {FLAGS.against}')
    picture = curves(lines, FLAGS.against, FLAGS.metric, f'{FLAGS.metric} of {", ".join(lines)}')
    print(save(picture, Path(FLAGS.out).with_suffix('')))


def curve(workdir: Path) -> tuple[list[float], list[float]]:
    rows = records.read(workdir)
    if not rows:
        raise UserError(f'{workdir} is no directory of a run: there is no metrics.jsonl in it')
    known = records.series(rows, 'eval')
    steps, values = known[choose(FLAGS.metric, known, f'--metric, of {workdir},')]
    if FLAGS.against == 'steps':
        return steps, values
    trained = zip(rows, records.clock(workdir, rows), strict=True)
    minutes = {row['step']: seconds / 60 for row, seconds in trained}
    return [minutes[step] for step in steps], values


if __name__ == '__main__':
    command.launch(main, __doc__)
