"""Scenes of shapes, 32x32, drawn from captions: a transformer continues the byte pairs of the text
with the codes of the picture (DALL-E, Ramesh et al., 2021).

    python -m experiments.main --config=configs/tokens/shapes_captions.py --workdir=runs/captions

The byte pairs are learned from the captions. One in 8 pairs of color and shape is kept from
training; the test asks for these only, and a program reads colors and places from what was drawn:
after 1,000 steps 59% are right, after 3,000 70%, after 5,000 74% (60 minutes of one core); the
shapes too in 58%. It is still learning.
`:maskgit` draws all codes in 8 steps; `:large` is 64x64.
"""

import ml_collections

TOKENIZER = 'configs/tokens/shapes_tokenizer.py'
VARIANTS = {
    'maskgit': {
        'method': {'name': 'maskgit', 'schedule': 'linear', 'smoothing': 0.0},
        'sampler': {'steps': 8, 'guidance': 3.0},
    },
    'large': {
        'needs.tokenizer': {'config': f'{TOKENIZER}:large', 'overrides': {}},
        'data.image_size': 64,
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'prior'
    config.needs = {'tokenizer': {'config': TOKENIZER, 'overrides': {}}}
    config.data = {'name': 'scenes', 'image_size': 32}
    config.codes = {'path': ''}
    config.told = {'what': 'text', 'drop': 0.1, 'withheld': 8}
    config.method = {'name': 'autoregressive', 'text_weight': 0.125}
    config.model = {'width': 128, 'depth': 6, 'heads': 4}
    config.sampler = {'guidance': 2.0, 'temperature': 0.7}
    config.judged = {'captions': 256}
    config.optim = {'name': 'muon', 'lr': 1e-2, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 5000, 'batch_size': 32, 'ema': 0.99, 'eval_every': 1000}
    return config
