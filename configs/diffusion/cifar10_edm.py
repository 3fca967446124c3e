"""Class-conditional EDM on CIFAR-10 (Karras et al., 2022): 56 million parameters.

    python -m experiments.main --config=configs/diffusion/cifar10_edm.py --workdir=runs/cifar10_edm

For several GPUs or a TPU; the data must be prepared by tensorflow-datasets. The paper reports a
Frechet distance of 1.79 on Inception's features, with distortions of which flips are the only one
here; the config was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.data = {'name': 'cifar10', 'augment': {'flip': {}}}
    config.process = {'name': 'edm', 'draw': {'name': 'log_normal', 'mean': -1.2, 'std': 1.2}}
    config.model = {
        'name': 'unet',
        'widths': (256, 256, 256),
        'blocks': 4,
        'attention': ('none', 'self', 'none'),
        'modulation': 'scale_shift',
        'resample': 'block',
        'head_width': 256,
        'dropout': 0.13,
    }
    config.objective = {'name': 'edm', 'labels': True}
    config.sampler = {'name': 'heun', 'steps': 18, 'spacing': 'edm', 'count': 50000}
    config.optim = {'name': 'adam', 'lr': 1e-3, 'warmup': 20_000}
    config.train = {
        'steps': 390_000,
        'batch_size': 512,
        'ema': 0.9993,
        'checkpoint_every': 10_000,
        'show_every': 20_000,
    }
    return config
