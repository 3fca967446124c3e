"""What a run has learned of a scene, for other programs: a mesh, and pictures with cameras.

    python -m experiments.extract --config=configs/radiance/ngp_scene.py \
        --workdir=runs/ngp_scene --out=runs/ngp_scene_out

trains the scene in the workdir, if it has not finished there, and writes into OUT

    mesh.glb           (or `--mesh=mesh.ply`, `mesh.obj`) what the depths of all cameras agree on
                       (TSDF), with colors
    images/, depths/   what each camera of the photographs sees: PNG with opacity; 16 bits of depth
    transforms.json    these cameras, refined if the run has refined them, for nerfstudio and for
                       `--config.data.name=capture --config.data.path=OUT`

in the world of the photographs.
"""

from pathlib import Path

import jax
import numpy as np
from absl import flags

from experiments import command
from jaxcv import surfaces
from jaxcv.cameras.view import Scene, View
from jaxcv.data.captures import blender, moved, rendered
from jaxcv.data.captures.photographs import Box
from jaxcv.errors import UserError, choose
from jaxcv.train import config as configs
from jaxcv.train import machine

FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file of a scene, FILE[:variant].')
flags.DEFINE_string('workdir', '', 'Its run directory; by default runs/<config>.')
flags.DEFINE_string('out', '', 'Folder to write; by default <workdir>_out.')
flags.DEFINE_string('mesh', 'mesh.glb', 'Name of the mesh, whose suffix is its format.')
flags.DEFINE_integer('resolution', 160, 'Points of the volume of depths along each axis.')


def main(argv):
    file = command.config_file()
    config = configs.load(file, argv[1:])
    workdir = command.workdir(file)
    out = Path(FLAGS.out or workdir.with_name(f'{workdir.name}_out'))
    choose(Path(FLAGS.mesh).suffix, surfaces.FORMATS, 'the suffix of --mesh')
    if out.exists():
        raise UserError(f'{out} is there already: name another folder with --out')
    machine.start(config)
    scene = command.trained(config, workdir)
    if not isinstance(scene, Scene):
        raise UserError(f'config.experiment is {config.experiment!r}, which learns no scene')
    faces = write(out, scene, Box(**config.box.to_dict()), FLAGS.mesh, FLAGS.resolution)
    print(f'{out}: {FLAGS.mesh} of {faces:,} faces, {len(scene.cameras)} pictures with cameras')


def write(out: Path, scene: Scene, box: Box, name: str, resolution: int) -> int:
    """All of it; the number of the mesh's faces."""
    views = [jax.device_get(scene.look(camera)) for camera in scene.cameras]
    seen = View(*map(np.stack, zip(*views, strict=True)))
    mesh = surfaces.agreed(seen, scene.cameras, resolution)
    mesh = mesh._replace(vertices=np.asarray(box.center) + box.half * mesh.vertices)
    out.mkdir(parents=True)
    surfaces.write(out / name, mesh)
    blender.write(out, moved(rendered.stored(out, seen, scene.cameras), box.outward))
    return len(mesh.faces)


if __name__ == '__main__':
    command.launch(main, __doc__)
