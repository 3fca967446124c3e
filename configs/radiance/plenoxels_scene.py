"""Views of a desk with toys, learned from 100 photographs by voxels alone, without a network
(Plenoxels): 24^3 cells, then 48^3, then 96^3.

    python -m experiments.main --config=configs/radiance/plenoxels_scene.py --workdir=runs/plenoxels

30.8 dB (SSIM .972) on 20 other views, after 2.1 minutes on 2 cores with other work beside it:
26.1 dB with the coarse grid, 29.7 with the next.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'desk', 'image_size': 100}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 1}
    config.field = {
        'name': 'voxels',
        'cells': 24,
        'finest': 96,
        'degree': 2,
        'activation': 'shifted_exponential',
    }
    config.renderer = {'name': 'skipping', 'steps': 192, 'per_ray': 24.0, 'cells': 48}
    config.proposals = ()
    config.objective = {
        'color': 'squared',
        'background': 'random',
        'distortion': 1e-3,
        'variation': 3e-4,
        'color_variation': 3e-4,
    }
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 4096, 'frames': 24, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 0.15, 'schedule': 'cosine', 'beta2': 0.99, 'eps': 1e-15}
    # One device: each of several would keep its own copy of large grids.
    config.train = {
        'steps': 900,
        'batch_size': 2048,
        'adapt_every': 300,
        'eval_every': 300,
        'cpu_devices': 1,
    }
    return config
