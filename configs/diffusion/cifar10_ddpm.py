"""Denoising diffusion on CIFAR-10 as in Ho et al., 2020: 35.7 million parameters, 800,000 steps.

    python -m experiments.main --config=configs/diffusion/cifar10_ddpm.py --workdir=runs/cifar10

For several GPUs or a TPU; the data must be prepared by tensorflow-datasets. The paper reports a
Frechet distance of 3.17 on Inception's features; here the config was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.data = {'name': 'cifar10', 'augment': {'flip': {}}}
    config.process = {'name': 'linear'}
    config.model = {
        'name': 'unet',
        'widths': (128, 256, 256, 256),
        'blocks': 2,
        'attention': ('none', 'self', 'none', 'none'),
        'head_width': 256,
        'dropout': 0.1,
        'cosine_first': False,
        'time_shift': 1.0,
    }
    config.objective = {'name': 'eps'}
    config.sampler = {
        'name': 'ddpm',
        'fields': {'variance': 'large'},
        'steps': 1000,
        'spacing': 'linspace',
        'count': 50000,
    }
    config.optim = {'name': 'adam', 'lr': 2e-4, 'warmup': 5000, 'clip_norm': 1.0}
    config.train = {
        'steps': 800_000,
        'batch_size': 128,
        'ema': 0.9999,
        'checkpoint_every': 10_000,
        'show_every': 50_000,
    }
    return config
