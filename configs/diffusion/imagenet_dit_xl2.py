"""DiT-XL/2 on ImageNet 256x256 (Peebles and Xie, 2023): 675 million parameters, latents of 32x32.

    python -m experiments.encode --config=configs/autoencoder/imagenet.py \
        --workdir=runs/imagenet_kl --out=runs/imagenet_latents
    python -m experiments.main --config=configs/diffusion/imagenet_dit_xl2.py --workdir=runs/dit \
        --config.needs.stage=runs/imagenet_kl \
        --config.latents.path=runs/imagenet_latents

For a pod or a node of GPUs; the data must be prepared by tensorflow-datasets. The paper reports a
Frechet distance of 2.27 on Inception's features after 7 million steps, guided at 1.5; here the
config was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.needs = {'stage': {'config': 'configs/autoencoder/imagenet.py', 'overrides': {}}}
    config.data = {'name': 'imagenet2012', 'image_size': 256}
    config.latents = {'path': ''}
    config.process = {'name': 'linear'}
    config.model = {'name': 'dit', 'size': 'XL', 'patch': 2, 'remat': True}
    config.objective = {'name': 'eps', 'labels': True, 'learned_variance': True}
    config.sampler = {
        'name': 'ddpm',
        'fields': {'variance': 'learned'},
        'steps': 250,
        'spacing': 'linspace',
        'guidance': 1.5,
        'clip': False,
        'count': 50000,
    }
    config.optim = {'name': 'adamw', 'lr': 1e-4}
    config.train = {
        'steps': 7_000_000,
        'batch_size': 256,
        'ema': 0.9999,
        'precision': 'bfloat16',
        'checkpoint_every': 10_000,
        'show_every': 50_000,
    }
    return config
