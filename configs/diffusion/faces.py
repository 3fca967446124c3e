"""Faces and other things, 25x25, from 160 photographs: the preconditioned denoiser of EDM and its
sampler, with a U-Net.

    python -m experiments.main --config=configs/diffusion/faces.py --workdir=runs/faces

23 minutes of CPU time. What is asked to be a face has eyes, a mouth, often glasses, and some noise;
what is asked to be none is a piece of background.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.data = {'name': 'faces', 'augment': {'flip': {}}}
    config.process = {'name': 'edm', 'draw': {'name': 'log_normal', 'mean': -0.6, 'std': 1.2}}
    config.model = {
        'name': 'unet',
        'widths': (32, 64),
        'blocks': 1,
        'attention': ('none', 'self'),
        'groups': 8,
        'head_width': 16,
        'dropout': 0.1,
    }
    config.objective = {'name': 'edm', 'labels': True}
    config.sampler = {'name': 'heun', 'steps': 18, 'spacing': 'edm', 'guidance': 1.5}
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'constant', 'warmup': 100}
    config.train = {'steps': 1500, 'batch_size': 32, 'ema': 0.99}
    return config
