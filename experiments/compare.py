"""Scores of several runs: a table of the last ones, and a picture of one against training time or
steps.

    python -m experiments.compare --runs=runs/ngp_scene,runs/nerf_scene --metric=psnr,ssim \
        --out=curves.png

Each directory is a run, as it stands; its evaluations are read.
"""

from pathlib import Path

from absl import flags

from experiments import command
from jaxcv.errors import UserError, choose
from jaxcv.train import records
from jaxcv.viz import curves, save

FLAGS = flags.FLAGS
flags.DEFINE_list('runs', [], 'Run directories.')
flags.DEFINE_list('metric', [], 'The scores, of which the first is drawn.')
flags.DEFINE_enum('against', 'minutes', ('minutes', 'steps'), 'Of training, without evaluations.')
flags.DEFINE_string('out', 'curves.png', 'The picture.')


def main(argv):
    if not (FLAGS.runs and FLAGS.metric):
        raise UserError('--runs=DIRECTORY,DIRECTORY and --metric=NAME are needed')
    found = {Path(run).name: scores(Path(run)) for run in FLAGS.runs}
    print(table(found))
    drawn = FLAGS.metric[0]
    lines = {name: each[drawn] for name, each in found.items()}
    picture = curves(lines, FLAGS.against, drawn, f'{drawn} of {", ".join(lines)}')
    print(save(picture, Path(FLAGS.out).with_suffix('')))


def table(found) -> str:
    """The last of every score and when it was, in Markdown."""
    rows = [['run', FLAGS.against, *FLAGS.metric], ['---'] * (2 + len(FLAGS.metric))]
    for name, each in found.items():
        when = each[FLAGS.metric[0]][0]
        rows.append([name, *(f'{x[-1]:.4g}' for x in (when, *(y for _, y in each.values())))])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def scores(workdir: Path) -> dict[str, tuple[list[float], list[float]]]:
    """(minutes or steps, values) of every score that is asked for."""
    rows = records.read(workdir)
    if not rows:
        raise UserError(f'{workdir} is no directory of a run: there is no metrics.jsonl in it')
    known = records.series(rows, 'eval')
    found = {name: known[choose(name, known, f'--metric, of {workdir},')] for name in FLAGS.metric}
    if FLAGS.against == 'steps':
        return found
    trained = zip(rows, records.clock(workdir, rows), strict=True)
    minutes = {row['step']: seconds / 60 for row, seconds in trained}
    return {
        metric: ([minutes[step] for step in steps], values)
        for metric, (steps, values) in found.items()
    }


if __name__ == '__main__':
    command.launch(main, __doc__)
