"""Many runs of one config, several at a time, and a table of what came out.

    python -m experiments.sweep --config=configs/recognition/digits.py \
        --sweep='optim.lr=1e-3,3e-4' --sweep='seed=0:8' --workdir=runs/sweep

Each --sweep is an axis of a grid: values a,b,c or an integer range start:stop[:step]; or a Python
file with SWEEP = {field: values} (axes) or SWEEP = [{field: value}, ...] (points). With --random=K
each axis but the seed is drawn from, K times: log(1e-4,1e-2), uniform(0,1), or its values.
--config.field=value holds for all runs.

The same command continues a sweep that was interrupted or killed: finished runs are skipped,
failed ones tried again. It ends with 1 if a run failed, and leaves sweep.md and sweep.csv.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from experiments import command
from jaxcv.errors import UserError
from jaxcv.sweep import points as sweep
from jaxcv.sweep import slurm, table
from jaxcv.sweep.ensemble import allowed
from jaxcv.sweep.points import SEED, Point
from jaxcv.sweep.share import slots
from jaxcv.sweep.workers import Job, Outcome, Workers
from jaxcv.train.better import direction
from jaxcv.train.config import differences, settings, to_json
from jaxcv.train.interrupt import lock
from jaxcv.train.records import write_json, write_text

FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file, FILE[:variant].')
flags.DEFINE_multi_string('sweep', [], 'field=values, or a Python file; may be given repeatedly.')
flags.DEFINE_string('workdir', '', 'Where the run directories go; by default runs/<config>-sweep.')
flags.DEFINE_string('needs', '', 'Where needed runs live; by default in the workdir.')
flags.DEFINE_integer('workers', 0, 'Runs at a time; by default one a GPU, or one per 2 CPU cores.')
flags.DEFINE_integer('random', 0, 'Points to draw, instead of the grid.')
flags.DEFINE_integer('sweep_seed', 0, 'Seed of the draws.')
flags.DEFINE_enum('vmap', '', ('', 'seed'), 'Run points that differ in the seed as one program.')
flags.DEFINE_string('metric', '', 'What the table ranks by; by default accuracy, or what there is.')
flags.DEFINE_enum('metric_mode', 'auto', ('auto', 'max', 'min'), 'Whether more of it is better.')
flags.DEFINE_bool('table', False, 'Run nothing; write the table of the runs as they stand.')
flags.DEFINE_string('slurm', '', 'Run nothing; write an sbatch script here, a task for each run.')

RUN, GROUP = 'experiments.main', 'experiments.group'  # what a worker runs


def main(argv):
    file = command.config_file()
    overrides = command.assignments(argv[1:])
    parts = [part for text in FLAGS.sweep for part in sweep.parse(text)]
    if not parts:
        raise UserError("--sweep is missing; write --sweep='optim.lr=1e-3,3e-4'")
    points = sweep.points(file, sweep.expand(parts, FLAGS.random, FLAGS.sweep_seed), overrides)
    stem = Path(file.partition(':')[0]).stem
    found = Sweep(file, overrides, points, Path(FLAGS.workdir or f'runs/{stem}-sweep'))
    if FLAGS.slurm:
        return found.write_slurm(Path(FLAGS.slurm))
    if FLAGS.table:
        return found.tell()
    with lock(found.workdir):
        try:
            found.run()
        finally:
            rows = found.tell()
    if any(row.status != 'finished' for row in rows):
        sys.exit(1)


class Sweep:
    """Points and the directories of their runs. `history` keeps what only the workers' parent
    knows: {run: {'seconds': so far, 'error': of the last attempt}}."""

    def __init__(self, file: str, overrides: Mapping[str, str], points: list[Point], workdir: Path):
        self.file, self.overrides, self.points, self.workdir = file, overrides, points, workdir
        workdir.mkdir(parents=True, exist_ok=True)
        self.needs = FLAGS.needs or workdir / 'needs'
        self.memory = workdir / 'sweep.json'
        self.history = json.loads(self.memory.read_text()) if self.memory.exists() else {}
        for point in points:
            self._same(point)

    def run(self) -> None:
        left = [point for point in self.points if not self.finished(point)]
        if before := len(self.points) - len(left):
            print(f'{before} of {len(self.points)} runs had finished before', flush=True)
        jobs = self.jobs(left)
        parts = slots(FLAGS.workers)[: len(jobs)]
        if jobs:
            print(f'{len(jobs)} to do, {len(parts)} at a time, in {self.workdir}', flush=True)
        Workers(jobs, parts, self._ended, self._done).run()
        shutil.rmtree(self.workdir / 'groups', ignore_errors=True)

    def finished(self, point: Point) -> bool:
        return table.read(point, self.directory(point)).status == 'finished'

    def directory(self, point: Point) -> Path:
        return self.workdir / point.name

    def jobs(self, left: Sequence[Point]) -> list[Job]:
        """With --vmap, seeds share a program unless they have been started alone."""
        if not FLAGS.vmap:
            return [self._single(point) for point in left]
        alone = [point for point in left if (self.directory(point) / 'config.json').exists()]
        fresh = [point for point in left if point not in alone]
        groups = [points for _, points in sweep.by_seed(fresh)]
        jobs = [self._group(points) for points in groups if len(points) > 1]
        alone += [points[0] for points in groups if len(points) == 1]
        return jobs + [self._single(point) for point in alone]

    def tell(self) -> list[table.Row]:
        """Writes sweep.csv and sweep.md, and prints the latter."""
        rows = []
        for point in self.points:
            known = self.history.get(point.name, {'seconds': 0.0, 'error': ''})
            rows.append(table.read(point, self.directory(point), **known))
        metric = FLAGS.metric or table.preferred(rows)
        mode = direction(metric) if FLAGS.metric_mode == 'auto' else FLAGS.metric_mode
        fixed = ''.join(f' {word}' for word in sweep.flags(self.overrides))
        text = table.to_markdown(rows, metric, mode)
        write_text(self.workdir / 'sweep.md', f'# Sweep of {self.file}{fixed}\n\n{text}')
        write_text(self.workdir / 'sweep.csv', table.to_csv(rows))
        print(f'\n{text}{self.workdir / "sweep.md"}', flush=True)
        return rows

    def write_slurm(self, file: Path) -> None:
        jobs = self.jobs([point for point in self.points if not self.finished(point)])
        if not jobs:
            raise UserError('every run has finished; there is nothing to submit')
        own = [word for word in sys.argv[1:] if not word.startswith('--slurm')]
        again = shlex.join(['python', '-m', 'experiments.sweep', *own, '--table'])
        write_text(file, slurm.script(jobs, self.workdir, FLAGS.workers, again))
        print(f'{len(jobs)} tasks written: sbatch {file}')

    def _single(self, point):
        directory = self.directory(point)
        words = self._words(RUN, point.fields, directory)
        return Job(point.name, words, directory, settings(point.config).steps, (point.name,))

    def _group(self, points):
        """One program for points that differ in the seed. It has a directory of its own, until
        it is done and divided among them."""
        allowed(points[0].config)
        rest = {name: value for name, value in points[0].fields.items() if name != SEED}
        seeds = [str(point.fields[SEED]) for point in points]
        name = sweep.title({**rest, 'seeds': '+'.join(seeds)})
        directory = self.workdir / 'groups' / name
        members = [
            f'--member={seed}={self.directory(point)}'
            for seed, point in zip(seeds, points, strict=True)
        ]
        words = (*self._words(GROUP, rest, directory), *members)
        names = tuple(point.name for point in points)
        return Job(name, words, directory, settings(points[0].config).steps, names)

    def _words(self, module, fields, directory):
        return (
            *('-m', module, f'--config={self.file}'),
            *sweep.flags({**self.overrides, **fields}),
            *(f'--workdir={directory}', f'--needs={self.needs}'),
        )

    def _done(self, job):
        return all(self.finished(point) for point in self.points if point.name in job.runs)

    def _ended(self, job: Job, outcome: Outcome):
        for name in job.runs:
            seconds = self.history.get(name, {}).get('seconds', 0.0)
            seconds += outcome.seconds / len(job.runs)
            self.history[name] = {'seconds': seconds, 'error': outcome.error}
        write_json(self.memory, self.history)

    def _same(self, point):
        """A run of another config, finished or not, is no result of this sweep."""
        file = self.directory(point) / 'config.json'
        made = json.loads(file.read_text()) if file.exists() else None
        if made and (found := differences(made, to_json(point.config))):
            raise UserError(
                f'{file.parent} holds a run of another config: {"; ".join(found[:3])}.'
                ' Choose another --workdir, or delete it'
            )


if __name__ == '__main__':
    command.launch(main, __doc__)
