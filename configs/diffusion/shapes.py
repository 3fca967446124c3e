"""A diffusion transformer draws scenes of shapes, 32x32, whose largest object is of the class asked
for.

    python -m experiments.main --config=configs/diffusion/shapes.py --workdir=runs/diffusion_shapes

For a GPU: on 2 CPU cores 1,000 steps take a quarter of an hour, and have learned colors and blobs,
not yet shapes (17% recognized, which is chance; a Frechet distance of 5.1). The rest has not been
run.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'diffusion'
    config.needs = {'judge': {'config': 'configs/recognition/shapes_features.py', 'overrides': {}}}
    config.data = {'name': 'shapes', 'augment': {'flip': {}}}
    config.process = {'name': 'flow'}
    config.model = {'name': 'dit', 'patch': 4, 'width': 128, 'depth': 6, 'heads': 4}
    config.objective = {'name': 'flow', 'labels': True}
    config.sampler = {
        'name': 'dpmpp_2m',
        'steps': 25,
        'spacing': 'flow',
        'guidance': 1.5,
        'count': 512,
    }
    config.optim = {'name': 'adamw', 'lr': 1e-3, 'schedule': 'cosine', 'warmup': 100}
    config.train = {'steps': 20_000, 'batch_size': 64, 'ema': 0.999}
    return config
