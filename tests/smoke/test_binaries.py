"""Every binary and every config runs for a few steps, as a person would start it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from few import QUICK, environment, few_of

from jaxcv.train.config import available, load

ROOT = Path(__file__).parents[2]
# What the largest configs leave out here, where neither their data nor their memory is at hand.
SMALL = (
    '--config.data.name=patches',
    '--config.train.batch_size=4',
    '--config.model.blocks=1',
)
LATENT_DATA = ('--config.data.name=shapes', '--config.data.image_size=64')
VQGAN = (
    '--config.data.name=shapes', '--config.data.image_size=32', '--config.train.batch_size=4',
    '--config.train.precision=float32', '--config.model.widths=(32,32,32,32)',
    '--config.model.attention=(False,False,False,True)', '--config.model.latents=32',
    '--config.adversary.layers=2', '--config.adversary.width=8',
)  # fmt: skip
PRIOR = (
    '--config.data.name=shapes', '--config.data.image_size=32', '--config.train.batch_size=4',
    '--config.train.precision=float32', '--config.model.width=64',
)  # fmt: skip
SCALED_DOWN = {
    'configs/diffusion/cifar10_ddpm.py': (*SMALL, '--config.model.widths=(32,32,32,32)',
                                          '--config.model.head_width=32'),
    'configs/diffusion/cifar10_edm.py': (*SMALL, '--config.model.widths=(32,32,32)',
                                         '--config.model.head_width=32'),
    'configs/diffusion/imagenet_dit_xl2.py': (
        *LATENT_DATA, '--config.needs.stage.config=configs/autoencoder/shapes.py',
        '--config.train.batch_size=4', '--config.model.size=S', '--config.model.depth=2',
        '--config.train.precision=float32',
    ),
    'configs/autoencoder/imagenet.py': (
        *LATENT_DATA, '--config.train.batch_size=4', '--config.model.widths=(32,32,32)',
        '--config.train.precision=float32',
    ),
    'configs/radiance/nerf_blender.py': (
        '--config.field.width=16', '--config.renderer.coarse=8', '--config.renderer.fine=8',
    ),
    'configs/radiance/mipnerf_llff.py': (
        '--config.field.width=16', '--config.renderer.coarse=8', '--config.renderer.fine=8',
    ),
    'configs/radiance/ngp_blender.py': (
        '--config.renderer.steps=64', '--config.renderer.cells=32', '--config.field.rows=4096',
    ),
    'configs/rl/ppo_atari.py': ('--config.agent.steps=16', '--config.env.limit=200'),
    'configs/tokens/imagenet_vqgan.py': VQGAN,
    'configs/tokens/imagenet_vqgan.py:scales': (*VQGAN, '--config.quantizer.scales=(1,2,4)'),
    'configs/tokens/imagenet_maskgit.py': (
        *PRIOR, '--config.needs.tokenizer.config=configs/tokens/shapes_tokenizer.py',
    ),
    'configs/tokens/imagenet_maskgit.py:var': (
        *PRIOR, '--config.needs.tokenizer.config=configs/tokens/shapes_tokenizer.py:scales',
    ),
}  # fmt: skip
# Their pictures are of the kinds that the other configs of their experiments draw, as are those of
# variants.
ALIKE = {
    'cifar10_ddpm', 'cifar10_edm', 'faces', 'imagenet', 'imagenet_dit_xl2', 'imagenet_maskgit',
    'imagenet_vqgan', 'kplanes_dynamic', 'mipnerf_llff', 'nerf_blender', 'ngp_blender', 'patches',
    'patches_tokenizer', 'plenoxels_scene', 'splat_blender', 'splat_colmap', 'splat_mcmc',
}  # fmt: skip
FEW = ('--config.train.steps=3', '--config.train.log_every=1', '--config.train.eval_every=0')


def command(*words, cwd=ROOT, code=0, env=QUICK):
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.smoke
@pytest.mark.parametrize('config', available(ROOT / 'configs'))
def test_config_runs(config, tmp_path, needs):
    """What it needs is trained for a few steps too."""
    workdir, name = tmp_path / 'run', str(Path(config).relative_to(ROOT))
    loaded = load(config)
    few = [*FEW, *few_of(loaded), *SCALED_DOWN.get(name, ())]
    file, _, variant = name.partition(':')
    if variant or Path(file).stem in ALIKE:
        few.append('--config.train.show_every=-1')
    places = f'--workdir={workdir}', f'--needs={needs}'
    arguments = ('-m', 'experiments.main', f'--config={config}', *places)
    said = command(*arguments, *few, env=environment(loaded))
    assert 'report' in said
    rows = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    assert [row['step'] for row in rows if row['phase'] == 'train'] == [1, 2, 3]
    assert (workdir / 'report.html').stat().st_size > 1000


@pytest.mark.smoke
@pytest.mark.parametrize('name', ['recognition/digits', 'rl/ppo_cartpole', 'diffusion/digits'])
def test_a_finished_run_is_looked_at_again(name, tmp_path, needs):
    arguments = (
        '-m',
        'experiments.main',
        f'--config=configs/{name}.py',
        f'--workdir={tmp_path}/run',
        f'--needs={needs}',
    )
    few = (*FEW, *few_of(load(f'{ROOT}/configs/{name}.py')))
    command(*arguments, *few)
    assert 'finished before' in command(*arguments, *few)
    command(*arguments, *few, '--mode=evaluate')
    command(*arguments, *few, '--mode=show')


@pytest.mark.smoke
def test_a_scene_for_other_programs(tmp_path):
    """Its mesh, pictures and cameras."""
    config = f'{ROOT}/configs/splat/splat_scene.py'
    few = (*FEW, *few_of(load(config)), f'--workdir={tmp_path}/run')
    few = (*few, '--resolution=32', '--gaussians=scene.ply')
    words = ('-m', 'experiments.extract', f'--config={config}', *few)
    said = command(*words, f'--out={tmp_path}/out', env=None)
    assert '100 pictures' in said and 'Gaussians' in said
    for name in ('mesh.glb', 'scene.ply'):
        assert (tmp_path / 'out' / name).stat().st_size > 1000
    assert 'is there already' in command(*words, f'--out={tmp_path}/out', code=2)


@pytest.mark.smoke
def test_help_lists_the_configs():
    said = command('-m', 'experiments.main', '--help')
    assert 'configs/recognition/digits.py' in said and '--workdir' in said


@pytest.mark.smoke
@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--config=configs/recognition/digit.py'], ['configs/recognition/digits.py']),
        (['--config.trian.steps=3'], ["'trian'", "'train'"]),
        (['--config.train.steps=soon'], ['config.train.steps', 'int']),
        (['--config.model.name=cnm'], ["'cnm'", "'cnn'"]),
        (['--config.data.name=digit'], ["'digit'", 'digits']),
        (['--config.data.name=mnist'], ["'mnist'", 'is not in', 'digits, faces, patches']),
        (['--config.data.name=npz'], ['data.path']),
        (['--config.data.name=folder', '--config.data.path=/nowhere'], ['/nowhere']),
        (['--config.train.batch_size=100', '--config.train.cpu_devices=8'], ['batch_size', '104']),
    ],
)
def test_a_mistake_is_one_line(arguments, words, tmp_path):
    config = ['--config=configs/recognition/digits.py', f'--workdir={tmp_path}/run']
    said = command('-m', 'experiments.main', *config, *arguments, code=2)
    line = [line for line in said.splitlines() if line.startswith('error: ')]
    assert len(line) == 1 and 'Traceback' not in said
    assert all(word in line[0] for word in words), line
