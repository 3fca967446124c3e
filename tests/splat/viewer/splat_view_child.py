"""The command in a process of its own, since launchers share names of flags: what it says to words
(a list of lists as JSON), or what it sees of a run as that goes on.

    python splat_view_child.py words '[["--ply=no.ply"], []]'
    python splat_view_child.py run FOLDER
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
from absl import flags
from jax import numpy as jnp

from experiments import command, view
from jaxcv.errors import UserError
from jaxcv.splat import Gaussians
from jaxcv.train import Experiment
from jaxcv.train.checkpoint import Checkpoints


def words(lines):
    return [said(line) for line in json.loads(lines)]


def said(line):
    """(exit code, what was said) to a line of words."""
    flags.FLAGS.unparse_flags()
    for flag in view.FLAGS.flags_by_module_dict()['experiments.view']:
        flag.unparse()
    output, code = io.StringIO(), 0
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
        try:
            command._guarded(view.main, command.parse(['view', *line], ''))
        except SystemExit as stop:
            code = stop.code
    return code, output.getvalue()


def scene(count):
    x = jnp.full((count, 4), count, jnp.float32)
    return Gaussians(x[:, :3], x[:, :3], x, x[:, 0], x[:, None, :3])


def run(folder):
    """[count of Gaussians, tag] after each checkpoint, and what goes wrong."""
    folder, told = Path(folder), []
    made = Experiment(init=lambda key: scene(3), step=None, export=lambda state: state)
    shown = view.Run(made, folder)

    def look():
        try:
            tag, found = shown.load()
            assert tag == shown.tag()
            told.append([len(found.means), tag])
        except UserError as error:
            told.append(str(error))

    look()
    checkpoints = Checkpoints(folder / 'checkpoints')
    for step in (3, 1200):  # of another shape: `adapt` has made room
        checkpoints.save(step, jax.tree.map(jnp.copy, scene(step % 100 + 3)), {})
        checkpoints.wait()
        look()
    (folder / 'checkpoints' / '00001200' / 'record.json').write_text('{')
    with contextlib.redirect_stdout(io.StringIO()):
        look()
    checkpoints.close()
    camera = SimpleNamespace(pose=1)
    for export in (
        None,
        lambda state: 'a classifier',
        lambda state: SimpleNamespace(gaussians=state, camera=camera),
    ):
        shown.experiment = Experiment(init=made.init, step=None, export=export)
        with contextlib.redirect_stdout(io.StringIO()):
            look()
    assert shown.camera is camera
    return told


if __name__ == '__main__':
    print(json.dumps({'words': words, 'run': run}[sys.argv[1]](sys.argv[2])))
