"""Scenes of shapes, 32x32, drawn as 64 codes in 8 steps, the surest codes first (MaskGIT).

    python -m experiments.main --config=configs/tokens/shapes_maskgit.py --workdir=runs/maskgit

The tokenizer and the judge are trained first if they are missing. Variants, with the same network
and training: `:autoregressive` draws one code after another, `:pixelcnn` does so with masked
convolutions, `:var` draws scale after scale.
"""

import ml_collections

TOKENIZER = 'configs/tokens/shapes_tokenizer.py'
VARIANTS = {
    'autoregressive': {'method': {'name': 'autoregressive'}, 'sampler': {'guidance': 1.5}},
    'pixelcnn': {
        'method': {'name': 'pixelcnn'},
        'model': {'width': 96, 'depth': 8},
        'sampler': {'guidance': 1.5},
    },
    'var': {
        'needs.tokenizer': {'config': f'{TOKENIZER}:scales', 'overrides': {}},
        'method': {'name': 'var'},
        'sampler': {'guidance': 2.0},
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'prior'
    config.needs = {
        'tokenizer': {'config': TOKENIZER, 'overrides': {}},
        'judge': {'config': 'configs/recognition/shapes_features.py', 'overrides': {}},
    }
    config.data = {'name': 'shapes', 'image_size': 32}
    config.codes = {'path': ''}
    config.told = {'what': 'label', 'drop': 0.1}
    config.method = {'name': 'maskgit'}
    config.model = {'width': 128, 'depth': 6, 'heads': 4}
    config.sampler = {'steps': 8, 'guidance': 2.0}
    config.judged = {'count': 1024, 'scales': ()}
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 3000, 'batch_size': 64, 'ema': 0.99}
    return config
