"""VQGAN, 256x256 to 16x16 codes of 1,024 (Esser et al., 2021), on ImageNet; a discriminator of
patches keeps the pictures sharp.

    python -m experiments.main --config=configs/tokens/imagenet_vqgan.py --workdir=runs/vqgan

For several GPUs or a TPU; the data must be prepared by tensorflow-datasets. The paper adds the
distance that a classifier sees: train one and name it, `--config.needs.features=runs/classifier
--config.objective.perceptual=1.0`. Here the config was run for a few steps only. `:scales` has the
4,096 codes of VAR, scale after scale (Tian et al., 2024).
"""

import ml_collections

VARIANTS = {
    'scales': {
        'quantizer': {
            'name': 'multiscale',
            'codes': 4096,
            'scales': (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
        },
        'model.latent_width': 32,
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'autoencoder'
    config.data = {'name': 'imagenet2012', 'image_size': 256, 'augment': {'flip': {}}}
    config.model = {
        'name': 'conv',
        'latents': 256,
        'latent_width': 256,
        'widths': (128, 128, 256, 256, 512),
        'attention': (False, False, False, False, True),
    }
    config.quantizer = {'name': 'ema', 'codes': 1024, 'beta': 0.25, 'kmeans': 10, 'revive': 0.1}
    config.adversary = {'name': 'patch'}
    config.objective = {
        'distance': 'l1',
        'perceptual': 0.0,
        'adversary': {'weight': 0.8, 'start': 50_000, 'lr': 1e-4},
    }
    config.optim = {'name': 'adam', 'lr': 1e-4, 'beta1': 0.5, 'beta2': 0.9, 'warmup': 1000}
    config.train = {
        'steps': 500_000,
        'batch_size': 128,
        'ema': 0.999,
        'precision': 'bfloat16',
        'checkpoint_every': 5_000,
        'show_every': 10_000,
    }
    return config
