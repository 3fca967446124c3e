"""What a run has learned of a scene, for other programs: a mesh, and pictures with cameras.

    python -m experiments.extract --config=configs/radiance/ngp_scene.py \
        --workdir=runs/ngp_scene --out=runs/ngp_scene_out

trains the scene in the workdir, if it has not finished there, and writes into OUT

    mesh.glb           (or `--mesh=mesh.ply`, `mesh.obj`) what the depths of all cameras agree on
                       (TSDF), with colors
    images/, depths/   what each camera of the photographs sees: PNG with opacity; 16 bits of depth
    transforms.json    these cameras, refined if the run has refined them, for nerfstudio and for
                       `--config.data.name=capture --config.data.path=OUT`

in the world of the photographs; and with `--gaussians=scene.ply` (or `.splat`, `.spz`)

    scene.ply          Gaussians: those of a run of splats, otherwise made of what the cameras see,
                       in the cube [-1, 1]^3 of `config.box`

A radiance field becomes splats that go on training: of a config whose `initial` is

    {'name': 'file', 'path': 'OUT/scene.ply'}

and splats become a radiance field, distilled from their pictures and, if its config has an
`objective.depth`, from depths:

    python -m experiments.main --config=configs/radiance/ngp_scene.py \
        --config.data.name=capture --config.data.path=OUT

both with the `config.box` of the first run.
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
from jaxcv.splat import Gaussians, converted, files
from jaxcv.train import config as configs
from jaxcv.train import machine

GAUSSIANS = '.ply', '.splat', '.spz'
FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file of a scene, FILE[:variant].')
flags.DEFINE_string('workdir', '', 'Its run directory; by default runs/<config>.')
flags.DEFINE_string('out', '', 'Folder to write; by default <workdir>_out.')
flags.DEFINE_string('mesh', 'mesh.glb', 'Name of the mesh, whose suffix is its format.')
flags.DEFINE_string('gaussians', '', 'Name of a file of Gaussians, if there is to be one.')
flags.DEFINE_integer('resolution', 160, 'Points of the volume of depths along each axis.')


def main(argv):
    file = command.config_file()
    config = configs.load(file, argv[1:])
    workdir = command.workdir(file)
    out = Path(FLAGS.out or workdir.with_name(f'{workdir.name}_out'))
    choose(Path(FLAGS.mesh).suffix, surfaces.FORMATS, 'the suffix of --mesh')
    if FLAGS.gaussians:
        choose(Path(FLAGS.gaussians).suffix, GAUSSIANS, 'the suffix of --gaussians')
    if out.exists():
        raise UserError(f'{out} is there already: name another folder with --out')
    machine.start(config)
    scene = command.trained(config, workdir)
    if not isinstance(scene, Scene):
        raise UserError(f'config.experiment is {config.experiment!r}, which learns no scene')
    box = Box(**config.box.to_dict())
    faces, count = write(out, scene, box, FLAGS.mesh, FLAGS.resolution, FLAGS.gaussians)
    more = f', {FLAGS.gaussians} of {count:,} Gaussians' if FLAGS.gaussians else ''
    print(f'{out}: {FLAGS.mesh} of {faces:,} faces, {len(scene.cameras)} pictures{more}')


def write(
    out: Path, scene: Scene, box: Box, mesh_name: str, resolution: int, gaussians_name: str = ''
) -> tuple[int, int]:
    """All of it; the numbers of the mesh's faces and of Gaussians."""
    views = [jax.device_get(scene.look(camera)) for camera in scene.cameras]
    seen = View(*map(np.stack, zip(*views, strict=True)))
    mesh = surfaces.agreed(seen, scene.cameras, resolution)
    mesh = mesh._replace(vertices=np.asarray(box.center) + box.half * mesh.vertices)
    gaussians = gaussians_of(scene, seen) if gaussians_name else None
    out.mkdir(parents=True)
    surfaces.write(out / mesh_name, mesh)
    if gaussians:
        files.write(out / gaussians_name, gaussians)
    blender.write(out, moved(rendered.stored(out, seen, scene.cameras), box.outward))
    return len(mesh.faces), len(gaussians.means) if gaussians else 0


def gaussians_of(scene: Scene, seen: View) -> Gaussians:
    """A scene's own, or those that show the same."""
    own = getattr(scene, 'gaussians', None)
    return converted.gaussians(seen, scene.cameras) if own is None else own


if __name__ == '__main__':
    command.launch(main, __doc__)
