"""Gaussians in a browser: those of a run, as they train, or those of a file.

    python -m experiments.view --workdir=runs/splat_scene
    python -m experiments.view --ply=scene.ply --out=scene.html

serves a page on this machine alone, which shows each new checkpoint of the run (or the file,
whenever it is written again); with --out it writes one file that needs no server and no network.
"""

import contextlib
import json
from datetime import datetime
from pathlib import Path

import jax
import ml_collections
import numpy as np
from absl import flags

import experiments
from experiments import command
from jaxcv.errors import UserError
from jaxcv.splat import Gaussians, files, viewer
from jaxcv.train import Experiment
from jaxcv.train.checkpoint import Checkpoints
from jaxcv.train.config import complete

FLAGS = flags.FLAGS
flags.DEFINE_string('workdir', '', 'Run directory of an experiment that exports Gaussians.')
flags.DEFINE_string('ply', '', 'File of Gaussians: .ply, .splat or .spz.')
flags.DEFINE_string('out', '', 'Serve nothing; write the page to this file.')
flags.DEFINE_integer('port', 8008, 'Where the page is served; 0: any that is free.')
flags.DEFINE_enum('background', 'white', ('white', 'black'), 'What is behind the Gaussians.')
flags.DEFINE_bool('antialiased', False, 'They were trained with anti-aliasing.')
AXES = {sign + axis: row for sign, turn in (('', 1), ('-', -1))
        for axis, row in zip('xyz', turn * np.eye(3), strict=True)}  # fmt: skip
flags.DEFINE_enum(
    'up', '', ('', *AXES), "The world's way up; by default the camera's, or -y without a camera."
)


class File:
    """A file of Gaussians, whenever it was written last."""

    camera = None

    def __init__(self, path: Path):
        self.path = path

    def tag(self) -> str:
        try:
            written = datetime.fromtimestamp(self.path.stat().st_mtime)
        except OSError as error:
            raise UserError(f'{self.path} cannot be read: {error.strerror}') from error
        return f'written {written:%Y-%m-%d %H:%M:%S.%f}'

    def load(self) -> tuple[str, Gaussians]:
        return self.tag(), files.read(self.path)


class Run:
    """The newest checkpoint of a run, of which nothing is changed."""

    def __init__(self, experiment: Experiment, workdir: Path):
        self.experiment, self.workdir = experiment, workdir
        self.checkpoints = Checkpoints(workdir / 'checkpoints')
        self.shapes = jax.eval_shape(experiment.init, jax.random.key(0))
        self.camera = None

    def tag(self) -> str:
        return f'step {self.checkpoints.latest_step() or 0:,}'

    def load(self) -> tuple[str, Gaussians]:
        try:
            restored = self.checkpoints.restore(self.shapes)
        except (OSError, ValueError) as error:  # training put it away meanwhile
            raise UserError(f'{self.workdir}: its checkpoint went while it was read') from error
        if not restored:
            raise UserError(f'{self.workdir} has no checkpoint that reads: train it first')
        step, state, _ = restored
        found = self.experiment.export(state) if self.experiment.export else None
        self.camera = getattr(found, 'camera', None)
        found = getattr(found, 'gaussians', found)
        if not isinstance(found, Gaussians):
            raise UserError(f'{self.workdir} is the run of an experiment that exports no Gaussians')
        return f'step {step:,}', found


def main(argv):
    if argv[1:]:
        raise UserError(f'{argv[1]!r} is no flag of this command')
    if bool(FLAGS.workdir) == bool(FLAGS.ply):
        raise UserError('give one of --workdir, a run, and --ply, a file of Gaussians')
    jax.config.update('jax_platforms', 'cpu')  # what trains may have the accelerator
    shown = opened(Path(FLAGS.workdir)) if FLAGS.workdir else File(Path(FLAGS.ply))
    tag, gaussians = shown.load()
    up = AXES.get(FLAGS.up)
    camera = shown.camera or viewer.framing(gaussians, AXES['-y'] if up is None else up)
    name = Path(FLAGS.workdir or FLAGS.ply).name
    options = {'title': name, 'background': FLAGS.background, 'antialiased': FLAGS.antialiased}
    if FLAGS.out:
        write(Path(FLAGS.out), viewer.page(gaussians, camera, up=up, **options))
        return
    begin = viewer.start(gaussians, camera, up)
    page = viewer.assemble(begin, source=viewer.SOURCE, **options)
    with viewer.server(page, viewer.Source(shown.tag, shown.load), FLAGS.port) as server:
        host, port = server.server_address
        print(f'{name}, {tag}: http://{host}:{port}/ until Ctrl-C', flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def opened(workdir: Path) -> Run:
    """The run of a directory."""
    try:
        config = json.loads((workdir / 'config.json').read_text())
    except (OSError, ValueError) as error:
        raise UserError(f'{workdir} is not the directory of a run: {error}') from error
    config = complete(ml_collections.ConfigDict(config))
    return Run(experiments.build(config, workdir.absolute().parent / 'needs'), workdir)


def write(path: Path, page: str) -> None:
    try:
        path.write_text(page, 'utf-8')
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror}') from error
    print(f'{path}: {len(page) / 1e6:.1f} MB')


if __name__ == '__main__':
    command.launch(main, __doc__)
