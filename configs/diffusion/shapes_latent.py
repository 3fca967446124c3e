"""A diffusion transformer draws scenes of shapes, 64x64, in the latents of an autoencoder.

    python -m experiments.main --config=configs/diffusion/shapes_latent.py --workdir=runs/latent

About .6 seconds a step on 2 cores, beside the 2 minutes an evaluation takes. Its first 2,000 steps
were run here, in which blots become objects with straight edges:

| step | Frechet distance | without the average | recognized, of 80% of real scenes |
|---|---|---|---|
| 1,000 | 1.15 | 1.62 | 22% |
| 2,000 | .78 | .88 | 28% |

The autoencoder (`configs/autoencoder/shapes.py`) is trained first if it is missing. Every step
encodes its pictures; to encode them once, write their latents and name them:

    python -m experiments.encode --config=configs/autoencoder/shapes.py \
        --workdir=runs/shapes_kl --out=runs/shapes_latents
    python -m experiments.main --config=configs/diffusion/shapes_latent.py --workdir=runs/latent \
        --config.needs.stage=runs/shapes_kl --config.latents.path=runs/shapes_latents
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.needs = {
        'judge': {
            'config': 'configs/recognition/shapes_features.py',
            'overrides': {'data': {'image_size': 64}, 'train': {'steps': 400}},
        },
        'stage': {'config': 'configs/autoencoder/shapes.py', 'overrides': {}},
    }
    config.data = {'name': 'shapes', 'image_size': 64}
    config.latents = {'path': ''}
    config.process = {'name': 'flow'}
    config.model = {'name': 'dit', 'patch': 2, 'width': 128, 'depth': 6, 'heads': 4}
    config.objective = {'name': 'flow', 'labels': True}
    config.sampler = {
        'name': 'dpmpp_2m',
        'steps': 25,
        'spacing': 'flow',
        'guidance': 1.5,
        'clip': False,
        'count': 512,
    }
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'constant', 'warmup': 100}
    config.train = {'steps': 4000, 'batch_size': 64, 'ema': 0.995, 'eval_every': 1000}
    return config
