"""Faces and other things, 24x24, drawn as 36 codes in 8 steps (MaskGIT), from 160 photographs.

python -m experiments.main --config=configs/tokens/faces.py --workdir=runs/token_faces
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'prior'
    config.needs = {'tokenizer': {'config': 'configs/tokens/faces_tokenizer.py', 'overrides': {}}}
    config.data = {'name': 'faces', 'image_size': 24}
    config.codes = {'path': ''}
    config.told = {'what': 'label', 'drop': 0.1}
    config.method = {'name': 'maskgit'}
    config.model = {'width': 128, 'depth': 4, 'heads': 4, 'dropout': 0.3}
    config.sampler = {'steps': 8, 'guidance': 1.5}
    config.judged = {'count': 0, 'scales': ()}
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 1000, 'batch_size': 64, 'ema': 0.99, 'eval_every': 500}
    return config
