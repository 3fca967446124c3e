"""Patches of photographs, 32x32, of the photograph asked for, as 8x8 stacks of 4 codes that are
drawn one after another.

    python -m experiments.main --config=configs/tokens/patches.py --workdir=runs/token_patches
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'prior'
    config.needs = {'tokenizer': {'config': 'configs/tokens/patches_tokenizer.py', 'overrides': {}}}
    config.data = {'name': 'patches'}
    config.codes = {'path': ''}
    config.told = {'what': 'label', 'drop': 0.1}
    config.method = {'name': 'autoregressive'}
    config.model = {'width': 128, 'depth': 4, 'heads': 4, 'dropout': 0.1}
    config.sampler = {'guidance': 1.0, 'top_p': 0.95}
    config.judged = {'count': 0, 'scales': ()}
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 3000, 'batch_size': 32, 'ema': 0.99}
    return config
