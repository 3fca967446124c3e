"""Views of a desk with toys, learned from 100 photographs by Gaussian splats (3DGS).

    python -m experiments.main --config=configs/splat/splat_scene.py --workdir=runs/splat_scene

The photographs are 100x100 and rendered by the project, in half a minute, when first asked for;
`--config.data.image_size=128` is made too. On 20 other views, with the minutes that training and
compiling take on 2 cores:

| step | minutes | Gaussians | PSNR | SSIM |
|---|---|---|---|---|
| 250 | 0.4 | 6,000 | 27.6 dB | .952 |
| 500 | 0.6 | 8,169 | 30.5 dB | .975 |
| 1,000 | 1.2 | 12,126 | 32.4 dB | .985 |
| 1,500 | 1.8 | 12,126 | 32.7 dB | .986 |
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'splat'
    config.data = {'name': 'desk', 'image_size': 100}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 1}
    config.initial = {'name': 'hull', 'count': 6000, 'opacity': 0.1, 'scale': 0.7}
    config.motion = {'name': 'none'}
    config.poses = {'refine': False, 'rate': 1e-3, 'wrong': (0.0, 0.0)}
    config.drawing = {'degree': 2, 'degree_every': 400, 'antialiased': False}
    config.objective = {
        'similarity': 0.2,
        'opacity': 0.0,
        'scale': 0.0,
        'background': 'random',
        'appearance': 0.01,
    }
    # Twenty times fewer steps than in 3DGS: they are longer.
    config.rates = {
        'means': 5e-4,
        'means_end': 0.01,
        'log_scales': 1e-2,
        'rotations': 2e-3,
        'opacity_logits': 5e-2,
        'color': 1e-2,
        'harmonics': 1e-3,
        'appearance': 0.0,
    }
    config.density = {
        'name': 'control',
        'room': 2**14,
        'start': 300,
        'stop': 900,
        'reset_every': 0,
        'gradient': 4e-4,
        'dense': 0.01,
    }
    config.viewed = {'frames': 24, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 1.0, 'eps': 1e-15, 'schedule': 'cosine', 'end': 0.05}
    config.train = {'steps': 1500, 'batch_size': 1, 'eval_every': 250, 'adapt_every': 100}
    return config
