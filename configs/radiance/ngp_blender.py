"""Views of a scene of NeRF's synthetic data, or of any folder with `transforms_train.json` or
COLMAP's files, by Instant-NGP as in the paper (Müller et al. 2022).

    python -m experiments.main --config=configs/radiance/ngp_blender.py --workdir=runs/lego_ngp \
        --config.data.path=nerf_synthetic/lego

For a GPU; here it was run for a few steps only. The paper reports 33.2 dB over the eight scenes.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'capture', 'path': '', 'image_size': 0}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.5, 'downscale': 1}
    config.field = {
        'name': 'ngp',
        'levels': 16,
        'rows': 2**19,
        'features': 2,
        'coarsest': 16,
        'growth': 1.3819,  # to 2048 cells
        'widths': (64,),
        'color_widths': (64, 64),
    }
    config.renderer = {'name': 'skipping', 'steps': 1024, 'per_ray': 32.0, 'cells': 128}
    config.proposals = ()
    config.objective = {'color': 'huber', 'background': 'random', 'distortion': 0.0}
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 8192, 'frames': 120, 'judged': 0}
    config.optim = {
        'name': 'adam',
        'lr': 1e-2,
        'schedule': 'multistep',
        'milestones': (20_000, 25_000, 30_000),
        'gamma': 0.33,
        'beta2': 0.99,
        'eps': 1e-15,
    }
    config.train = {'steps': 35_000, 'batch_size': 8192, 'eval_every': 5000, 'ema': 0.95}
    return config
