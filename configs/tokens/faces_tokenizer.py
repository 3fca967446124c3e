"""Faces and other things, 24x24, become 6x6 codes without a codebook: numbers of 8, 5, 5 and 5
levels (Mentzer et al., 2024).

    python -m experiments.main --config=configs/tokens/faces_tokenizer.py \
        --workdir=runs/faces_tokenizer
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'autoencoder'
    config.data = {'name': 'faces', 'image_size': 24, 'augment': {'flip': {}}}
    config.model = {
        'name': 'conv',
        'latents': 32,
        'latent_width': 4,
        'widths': (16, 32, 64),
        'blocks': 1,
        'groups': 4,
        'middle_attention': False,
    }
    config.quantizer = {'name': 'fsq', 'levels': (8, 5, 5, 5)}
    config.adversary = {}
    config.objective = {'distance': 'l2'}
    config.optim = {'name': 'muon', 'lr': 2e-2, 'schedule': 'cosine', 'warmup': 50}
    config.train = {'steps': 1500, 'batch_size': 32, 'ema': 0.99}
    return config
