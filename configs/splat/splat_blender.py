"""Gaussian splats of a scene of NeRF's synthetic data, on white, as in 3DGS.

    python -m experiments.main --config=configs/splat/splat_blender.py --workdir=runs/lego \
        --config.data.path=nerf_synthetic/lego

`data.path` is a folder with `transforms_train.json`; training begins with 100,000 Gaussians
anywhere in the box. For a GPU; here it was run for a few steps only. The paper reports 33.3 dB over
the eight scenes.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'splat'
    config.data = {'name': 'capture'}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.3, 'downscale': 1}
    config.initial = {'name': 'random', 'count': 100_000, 'opacity': 0.1, 'scale': 1.0}
    config.motion = {'name': 'none'}
    config.poses = {'refine': False, 'rate': 1e-3, 'wrong': (0.0, 0.0)}
    config.drawing = {'degree': 3, 'degree_every': 1000, 'antialiased': False}
    config.objective = {'similarity': 0.2, 'opacity': 0.0, 'scale': 0.0, 'background': 'white'}
    config.rates = {
        'means': 1.6e-4,
        'means_end': 0.01,
        'log_scales': 5e-3,
        'rotations': 1e-3,
        'opacity_logits': 5e-2,
        'color': 2.5e-3,
        'harmonics': 1.25e-4,
    }
    config.density = {
        'name': 'control',
        'start': 500,
        'stop': 15_000,
        'reset_every': 3000,
        'gradient': 2e-4,
        'dense': 0.01,
    }
    config.viewed = {'frames': 48, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 1.0, 'eps': 1e-15}
    config.train = {'steps': 30_000, 'batch_size': 1, 'eval_every': 5000, 'adapt_every': 100}
    return config
