"""Patches of photographs, 32x32, become 8x8 stacks of 4 codes, each of what the one before left
(residual quantization).

    python -m experiments.main --config=configs/tokens/patches_tokenizer.py \
        --workdir=runs/patches_tokenizer

`:sharp` adds a discriminator of patches (VQGAN).
"""

import ml_collections

VARIANTS = {
    'sharp': {
        'adversary': {'name': 'patch', 'width': 16, 'layers': 2},
        'objective': {
            'distance': 'l2',
            'weight': 1.0,
            'adversary': {'weight': 0.2, 'start': 1000},
        },
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'autoencoder'
    config.data = {'name': 'patches', 'augment': {'flip': {}}}
    config.model = {
        'name': 'conv',
        'latents': 32,
        'latent_width': 16,
        'widths': (16, 32, 64),
        'blocks': 1,
        'groups': 4,
        'middle_attention': False,
    }
    config.quantizer = {
        'name': 'residual',
        'depth': 4,
        'inner': {'name': 'ema', 'codes': 256, 'kmeans': 10, 'revive': 0.1},
    }
    config.adversary = {}
    config.objective = {'distance': 'l2', 'weight': 1.0}
    config.optim = {'name': 'muon', 'lr': 2e-2, 'schedule': 'cosine', 'warmup': 50}
    config.train = {'steps': 3000, 'batch_size': 32, 'ema': 0.99}
    return config
