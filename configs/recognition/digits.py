"""Handwritten digits, 8x8: 1,797 images that ship with scikit-learn, four fifths to train on.

python -m experiments.main --config=configs/recognition/digits.py --workdir=runs/digits
"""

import ml_collections

VARIANTS = {
    'mlp': {'model': {'name': 'mlp'}},
    'vit': {
        'model': {'name': 'vit', 'patch': 2, 'width': 64, 'depth': 4, 'heads': 4, 'mlp_width': 128},
        'optim.lr': 2e-3,
        'train.steps': 1500,
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'recognition'
    config.model = {'name': 'cnn'}
    config.data = {
        'name': 'digits',
        'augment': {'affine': {'rotate': 10.0, 'translate': 0.125, 'scale': (0.9, 1.1)}},
    }
    config.loss = {'smoothing': 0.1, 'mixup': 0.0}
    config.optim = {
        'name': 'adamw',
        'lr': 4e-3,
        'schedule': 'cosine',
        'warmup': 60,
        'weight_decay': 0.05,
    }
    config.train = {'steps': 600, 'batch_size': 64, 'eval_every': 200, 'checkpoint_every': 200}
    return config
