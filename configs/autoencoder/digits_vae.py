"""Handwritten digits, 8x8, as vectors of 16 numbers, drawn from noise: a variational autoencoder.

    python -m experiments.main --config=configs/autoencoder/digits_vae.py --workdir=runs/vae

3.5 minutes: at most 3.54 bits per dimension (a bound by 64 samples of the posterior; 3.66 by one),
reconstructions of 22.7 dB, all 16 latents in use. Drawn digits look like digits, if blurred.

`:beta` weighs the divergence from the prior 4 times (Higgins et al., 2017): blurrier digits, and
fewer latents that say anything.
"""

import ml_collections

VARIANTS = {'beta': {'objective.beta': 4.0}}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'vae'
    config.data = {'name': 'digits'}
    config.model = {'latents': 16, 'widths': (32, 64), 'blocks': 1, 'maps': 16, 'groups': 8}
    config.objective = {'beta': 1.0}
    config.optim = {'name': 'adamw', 'lr': 2e-3, 'schedule': 'cosine', 'warmup': 50}
    config.train = {'steps': 2000, 'batch_size': 64, 'ema': 0.99}
    return config
