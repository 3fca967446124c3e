"""A U-Net draws scenes of shapes, 32x32, whose largest object is of the class asked for.

    python -m experiments.main --config=configs/diffusion/shapes.py --workdir=runs/diffusion_shapes

About .6 seconds a step on 2 cores, and 5 minutes for each evaluation (512 pictures, twice, guided):

| step | Frechet distance | without the average | recognized |
|---|---|---|---|
| 1,000 | 1.66 | 1.42 | 23% |
| 2,000 | .81 | 1.13 | 47% |

The last 1,000 have not been run. A transformer of patches of 4 (width 128, depth 6) was at chance
(17%) and 5.1 after 1,000 steps of twice the pictures.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.needs = {'judge': {'config': 'configs/recognition/shapes_features.py', 'overrides': {}}}
    config.data = {'name': 'shapes', 'augment': {'flip': {}}}
    config.process = {'name': 'flow'}
    config.model = {
        'name': 'unet',
        'widths': (32, 64, 96),
        'blocks': 1,
        'attention': ('none', 'none', 'self'),
        'groups': 8,
        'head_width': 24,
    }
    config.objective = {'name': 'flow', 'labels': True}
    config.sampler = {
        'name': 'dpmpp_2m',
        'steps': 20,
        'spacing': 'flow',
        'guidance': 2.0,
        'count': 512,
    }
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'constant', 'warmup': 100}
    config.train = {
        'steps': 3000,
        'batch_size': 32,
        'ema': 0.995,
        'eval_every': 1000,
        'show_every': 1000,
    }
    return config
