"""PPO plays Atari's Breakout at the published scale (10 million steps of 4 frames).

pip install -e '.[rl]'
python -m experiments.main --config=configs/rl/ppo_atari.py --workdir=runs/ppo_atari

Another game: --config.env.name=ale:Pong. The simulators run on the host, one process per core, at
2,000 to 3,000 steps a second on 2 cores, so that the full run wants a machine with many. It has
been run for a few steps only; PPO's paper reports a return of 275 for this game (table 6).
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {
        'name': 'ale:Breakout',
        'judged': {'episodic_life': False, 'sign_reward': False, 'render': True},
        'episodes': 4,
        'limit': 4000,
    }
    config.agent = {'name': 'ppo', 'steps': 128, 'epochs': 4, 'minibatches': 4, 'clip': 0.1}
    config.model = {'name': 'nature', 'shared': True}
    config.optim = {
        'name': 'adam',
        'lr': 2.5e-4,
        'eps': 1e-5,
        'clip_norm': 0.5,
        'schedule': 'linear',
    }
    # 9,765 updates of 8 environments x 128 steps.
    config.train = {'steps': 9765, 'batch_size': 8, 'checkpoint_every': 500}
    return config
