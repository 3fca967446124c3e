"""PPO finds the green square of an empty room, from 64x64 color pictures (Navix).

python -m experiments.main --config=configs/rl/ppo_navix_rgb.py --workdir=runs/ppo_navix_rgb

300,000 steps in two to three minutes on 2 CPU cores; every episode then ends at the square (a
return of 1, sampled and greedy; 3 seeds).
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {'name': 'navix:Navix-Empty-8x8-v0', 'limit': 100}
    config.agent = {'name': 'ppo', 'steps': 64, 'epochs': 2, 'minibatches': 4}
    config.model = {
        'name': 'cnn',
        'layers': ((16, 8, 8), (32, 3, 1)),
        'widths': (64,),
        'shared': True,
    }
    config.optim = {'name': 'adam', 'lr': 1e-3, 'eps': 1e-5, 'clip_norm': 0.5, 'schedule': 'linear'}
    config.train = {'steps': 150, 'batch_size': 32, 'checkpoint_every': 0}
    return config
