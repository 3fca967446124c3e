"""A desk where toys move, at any time and from any side, learned from 100 photographs each taken at
another time, by Gaussians that planes of space and time deform (4D-GS).

    python -m experiments.main --config=configs/splat/splat_dynamic.py --workdir=runs/splat_dynamic

The photographs are rendered by the project, in half a minute, when first asked for. At 20 other
times from other sides: 27.1 dB (SSIM .941) with 10,477 Gaussians, after 1,000 steps that take the
processor about 3 minutes. It begins where 7 of 10 photographs show something, since no place of
what moves is always taken.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'splat'
    config.data = {'name': 'moving_desk', 'image_size': 100}
    config.box = {'center': (0.0, 0.0, 0.0), 'half': 1.0, 'downscale': 1}
    config.initial = {'name': 'hull', 'count': 5000, 'through': 0.3, 'opacity': 0.1, 'scale': 0.7}
    config.motion = {
        'name': 'planes',
        'cells': (16, 32),
        'time_cells': 24,
        'features': 16,
        'widths': (64,),
        'changes': ('means', 'log_scales', 'rotations'),
    }
    config.poses = {'refine': False, 'rate': 1e-3, 'wrong': (0.0, 0.0)}
    config.drawing = {'degree': 1, 'degree_every': 300, 'antialiased': False}
    config.objective = {
        'similarity': 0.2,
        'opacity': 0.0,
        'scale': 0.0,
        'background': 'random',
        'variation': 2e-4,
        'smoothness': 1e-3,
        'sparsity': 1e-4,
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
        'planes': 2e-2,
        'network': 1e-3,
        'appearance': 0.0,
    }
    config.density = {
        'name': 'control',
        'room': 2**13,
        'start': 200,
        'stop': 600,
        'reset_every': 0,
        'gradient': 4e-4,
        'dense': 0.01,
    }
    config.viewed = {'frames': 48, 'judged': 0}
    config.optim = {'name': 'adam', 'lr': 1.0, 'eps': 1e-15, 'schedule': 'cosine', 'end': 0.05}
    config.train = {'steps': 1000, 'batch_size': 1, 'eval_every': 250, 'adapt_every': 100}
    return config
