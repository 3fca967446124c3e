"""PPO plays MinAtar's Breakout, from its 10x10 pictures.

python -m experiments.main --config=configs/rl/ppo_breakout.py --workdir=runs/ppo_breakout

10 million steps end with a return of 22.9 (one seed, sampled actions), and pass 20 after one
million; the game has no chance but in its beginning, and the policy settles into a round that
loses no ball and meets few bricks. A rate of 2.5e-3 or a shared encoder stays at a return of 7.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {'name': 'gymnax:Breakout-MinAtar', 'limit': 1000}
    config.agent = {'name': 'ppo', 'steps': 128, 'epochs': 2, 'minibatches': 8}
    config.model = {'name': 'cnn', 'layers': ((16, 3, 1),), 'widths': (64,)}
    config.optim = {'name': 'adam', 'lr': 5e-3, 'eps': 1e-5, 'clip_norm': 0.5, 'schedule': 'linear'}
    # 1,220 updates of 64 environments x 128 steps: 10 million steps.
    config.train = {'steps': 1220, 'batch_size': 64, 'checkpoint_every': 200}
    return config
