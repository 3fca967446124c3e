"""Views of a scene that was photographed from the front, by mip-NeRF's network in normalized device
coordinates (Barron et al. 2021): a folder with LLFF's `poses_bounds.npy`.

    python -m experiments.main --config=configs/radiance/mipnerf_llff.py --workdir=runs/fern \
        --config.data.path=nerf_llff_data/fern

For a GPU; here it was run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'radiance'
    config.data = {'name': 'capture', 'path': '', 'image_size': 0}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 4}
    config.field = {
        'name': 'nerf',
        'space': 'frustum',
        'encoding': 'integrated',
        'octaves': 16,
        'depth': 8,
        'width': 256,
        'skip': 5,
        'view_width': 128,
    }
    # From the plane that the nearest point is behind to what is practically infinitely far.
    config.renderer = {
        'name': 'hierarchical',
        'shared': True,
        'coarse': 128,
        'fine': 128,
        'near': 1.0,
        'far': 100.0,
        'spacing': 'disparity',
    }
    config.proposals = ()
    config.objective = {'color': 'squared', 'coarse': 0.1, 'background': 'black'}
    config.poses = {'refine': False, 'rate': 0.1, 'opening': 0, 'wrong': (0.0, 0.0)}
    config.viewed = {'chunk': 8192, 'frames': 120, 'judged': 0}
    # A hundredth after 200,000 steps.
    config.optim = {'name': 'adam', 'lr': 5e-4, 'schedule': 'step', 'every': 2000, 'gamma': 0.955}
    config.train = {'steps': 200_000, 'batch_size': 4096, 'eval_every': 25_000}
    return config
