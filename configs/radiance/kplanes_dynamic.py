"""A desk where toys move, at any time and from any side, learned from 100 photographs each taken at
another time, by planes of space and time (K-planes).

    python -m experiments.main --config=configs/radiance/kplanes_dynamic.py --workdir=runs/kplanes

The photographs are rendered by the project, in half a minute, when first asked for. On 2 cores with
other work beside it, at 20 other times from other sides:

| step | minutes of training | PSNR | SSIM |
|---|---|---|---|
| 1,000 | 1.3 | 26.3 dB | .923 |
| 2,000 | 2.6 | 27.6 dB | .944 |
| 4,000 | 5.2 | 29.1 dB | .960 |
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'moving_desk', 'image_size': 100}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 1}
    config.field = {
        'name': 'kplanes',
        'cells': (48, 96),
        'time_cells': 24,
        'features': 16,
        'widths': (32,),
        'color_widths': (32, 32),
    }
    config.renderer = {'name': 'skipping', 'steps': 192, 'per_ray': 24.0, 'cells': 48}
    config.proposals = ()
    config.objective = {
        'color': 'squared',
        'background': 'random',
        'distortion': 0.0,
        'variation': 1e-4,
        'smoothness': 1e-4,
        'sparsity': 1e-4,
    }
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 4096, 'frames': 24, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 3e-2, 'schedule': 'cosine', 'beta2': 0.99, 'eps': 1e-15}
    config.train = {'steps': 4000, 'batch_size': 1024, 'eval_every': 1000, 'ema': 0.95}
    return config
