"""Views of a scene of NeRF's synthetic data, or of any folder with `transforms_train.json` or
COLMAP's files, by the network of NeRF as in the paper (Mildenhall et al. 2020).

    python -m experiments.main --config=configs/radiance/nerf_blender.py --workdir=runs/lego \
        --config.data.path=nerf_synthetic/lego

For a GPU; here it was run for a few steps only. The paper reports 31.0 dB over the eight scenes,
JaxNeRF 31.7.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'capture', 'path': '', 'image_size': 0}
    # The scenes lie within 1.5, and 2 to 6 away from the cameras.
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.5, 'downscale': 1}
    config.field = {'name': 'nerf', 'depth': 8, 'width': 256, 'skip': 4, 'view_width': 128}
    config.renderer = {
        'name': 'hierarchical',
        'coarse': 64,
        'fine': 128,
        'near': 2 / 1.5,
        'far': 6 / 1.5,
    }
    config.proposals = ()
    config.objective = {'color': 'squared', 'background': 'white', 'distortion': 0.0}
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 8192, 'frames': 120, 'judged': 0}
    # A tenth after 250,000 steps.
    config.optim = {'name': 'adam', 'lr': 5e-4, 'schedule': 'step', 'every': 2500, 'gamma': 0.9772}
    config.train = {'steps': 250_000, 'batch_size': 4096, 'eval_every': 25_000}
    return config
