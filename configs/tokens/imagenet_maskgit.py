"""MaskGIT on ImageNet 256x256 (Chang et al., 2022): 256 codes in 12 steps.

    python -m experiments.encode --config=configs/tokens/imagenet_vqgan.py --workdir=runs/vqgan \
        --out=runs/imagenet_codes
    python -m experiments.main --config=configs/tokens/imagenet_maskgit.py --workdir=runs/maskgit \
        --config.needs.tokenizer=runs/vqgan --config.codes.path=runs/imagenet_codes

For a pod or a node of GPUs; the data must be prepared by tensorflow-datasets. The paper reports a
Frechet distance of 6.18 on Inception's features, without guidance; here the config was run for a
few steps only.

`:var` is VAR-d16 (Tian et al., 2024), 310 million parameters, on the codes of
`configs/tokens/imagenet_vqgan.py:scales`: 3.30.
"""

import ml_collections

VARIANTS = {
    'var': {
        'needs.tokenizer': {'config': 'configs/tokens/imagenet_vqgan.py:scales', 'overrides': {}},
        'method': {'name': 'var'},
        'model': {'width': 1024, 'depth': 16, 'heads': 16, 'dropout': 0.0, 'remat': True},
        'sampler': {'guidance': 1.5, 'top_k': 900, 'top_p': 0.96},
        'train.batch_size': 768,
        'train.steps': 330_000,
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'prior'
    config.needs = {'tokenizer': {'config': 'configs/tokens/imagenet_vqgan.py', 'overrides': {}}}
    config.data = {'name': 'imagenet2012', 'image_size': 256}
    config.codes = {'path': ''}
    config.told = {'what': 'label', 'drop': 0.1}
    config.method = {'name': 'maskgit'}
    config.model = {'width': 768, 'depth': 24, 'heads': 8, 'dropout': 0.1, 'remat': True}
    config.sampler = {'steps': 12, 'guidance': 1.0}
    config.judged = {'count': 0, 'scales': ()}
    config.optim = {
        'name': 'adamw',
        'lr': 1e-4,
        'beta2': 0.96,
        'weight_decay': 0.045,
        'warmup': 5000,
    }
    config.train = {
        'steps': 1_500_000,
        'batch_size': 256,
        'ema': 0.9999,
        'precision': 'bfloat16',
        'checkpoint_every': 10_000,
        'show_every': 50_000,
    }
    return config
