"""A classifier of noisy handwritten digits, 8x8, that guides runs like configs/diffusion/digits.py.

python -m experiments.main --config=configs/diffusion/digits_classifier.py --workdir=runs/guide

~55 s on 2 CPU cores. Of the test digits 98% are recognized at 10% noise, sigma / (alpha + sigma),
96% at 30%, 77% at 50% and 38% at 70%. Images are not distorted: the run to be guided sees none that
are, and those of `configs/recognition/digits.py` cost 8% of the accuracy at 50% noise.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'noisy_classifier'
    config.data = {'name': 'digits'}
    config.process = {'name': 'flow'}
    config.model = {'widths': (32, 64), 'blocks': 1, 'attended': 1, 'head_width': 32, 'groups': 8}
    config.optim = {
        'name': 'adamw',
        'lr': 2e-3,
        'schedule': 'cosine',
        'warmup': 60,
        'weight_decay': 0.05,
    }
    config.train = {'steps': 600, 'batch_size': 128, 'ema': 0.99, 'eval_every': 150}
    return config
