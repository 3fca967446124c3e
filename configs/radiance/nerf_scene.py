"""Views of a desk with toys, learned from 100 photographs by the network of NeRF, small.

    python -m experiments.main --config=configs/radiance/nerf_scene.py --workdir=runs/nerf_scene

On 2 cores with other work beside it, on 20 other views:

| step | minutes of training | PSNR | SSIM |
|---|---|---|---|
| 500 | 1.6 | 21.1 dB | .677 |
| 1,000 | 3.3 | 23.6 dB | .784 |
| 3,000 | 12.4 | 25.8 dB | .856 |

The hash grid of `ngp_scene` has 31.5 dB after one minute.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'desk', 'image_size': 100}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 1}
    config.field = {'name': 'nerf', 'depth': 4, 'width': 64, 'skip': 2, 'view_width': 32}
    config.renderer = {'name': 'hierarchical', 'coarse': 32, 'fine': 32}
    config.proposals = ()
    config.objective = {'color': 'squared', 'background': 'white', 'distortion': 0.0}
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 4096, 'frames': 24, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 2e-3, 'schedule': 'cosine'}
    config.train = {'steps': 3000, 'batch_size': 512, 'eval_every': 500, 'ema': 0.95}
    return config
