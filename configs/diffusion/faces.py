"""Faces and other things, 25x25, from 160 photographs: the preconditioned denoiser of EDM in a
transformer, and its sampler.

    python -m experiments.main --config=configs/diffusion/faces.py --workdir=runs/faces

Its pictures have not been judged yet; here it was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.data = {'name': 'faces', 'augment': {'flip': {}}}
    config.process = {'name': 'edm', 'draw': {'name': 'log_normal', 'mean': -0.6, 'std': 1.2}}
    config.model = {'name': 'dit', 'patch': 5, 'width': 96, 'depth': 4, 'heads': 4, 'dropout': 0.1}
    config.objective = {'name': 'edm', 'labels': True}
    config.sampler = {'name': 'heun', 'steps': 18, 'spacing': 'edm', 'guidance': 1.5}
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 1000, 'batch_size': 64, 'ema': 0.995}
    return config
