"""The KL autoencoder of latent diffusion, 256x256 to 32x32x4 (Rombach et al., 2022), on ImageNet.

    python -m experiments.main --config=configs/autoencoder/imagenet.py --workdir=runs/imagenet_kl

84 million parameters, for several GPUs or a TPU; the data must be prepared by tensorflow-datasets.
The paper adds a perceptual and an adversarial loss; here the config was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'autoencoder'
    config.data = {'name': 'imagenet2012', 'image_size': 256, 'augment': {'flip': {}}}
    config.model = {
        'name': 'kl',
        'latents': 4,
        'widths': (128, 256, 512, 512),
        'blocks': 2,
        'middle_attention': True,
    }
    config.quantizer = {}  # of a model of codes
    config.adversary = {}
    config.objective = {'distance': 'l1', 'weight': 1e-6}
    config.optim = {'name': 'adam', 'lr': 5e-5, 'warmup': 1000}
    config.train = {
        'steps': 250_000,
        'batch_size': 96,
        'ema': 0.999,
        'precision': 'bfloat16',
        'checkpoint_every': 5_000,
        'show_every': 10_000,
    }
    return config
