"""Tables learn to walk past a cliff (Sutton & Barto, example 6.6), and other grid worlds.

python -m experiments.main --config=configs/rl/gridworld.py --workdir=runs/gridworld

50,000 steps of Q-learning and their pictures take 10 seconds on 2 CPU cores, and end with a greedy
return of -13, along the edge: the optimum. `sarsa`, which explores while it judges itself, keeps
away from the edge (-17), as `expected_sarsa` does (-15) and `monte_carlo` (-15 to -17).
`value_iteration` and `policy_iteration` plan the optimum; `rooms` is slippery, sparse and solved
by optimism (regret below 0.01).
"""

import ml_collections

VARIANTS = {
    'sarsa': {'agent.name': 'sarsa', 'agent.step_size': 1.0, 'agent.step_power': 0.5},
    'expected_sarsa': {'agent.name': 'expected_sarsa'},
    'double_q_learning': {'agent.name': 'double_q_learning'},
    'monte_carlo': {
        'agent': {
            'name': 'monte_carlo',
            'steps': 5,  # episodes of every walker
            'step_size': 1.0,
            'step_power': 0.6,
            'epsilon': 0.1,
        },
        'train.batch_size': 8,
        'train.steps': 250,
    },
    'value_iteration': {'agent': {'name': 'value_iteration'}, 'train.steps': 20},
    'policy_iteration': {'agent': {'name': 'policy_iteration'}, 'train.steps': 20},
    'rooms': {
        'env': {'name': 'rooms', 'limit': 500},
        'agent': {
            'name': 'q_learning',
            'steps': 100,
            'step_size': 1.0,
            'step_power': 0.5,
            'epsilon': 0.2,
            'initial': 1.0,  # no return is larger
        },
        'train.batch_size': 8,
    },
}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'tabular'
    config.env = {'name': 'cliff', 'limit': 500}
    config.agent = {'name': 'q_learning', 'steps': 100, 'step_size': 0.5, 'epsilon': 0.1}
    config.train = {'steps': 500, 'batch_size': 1, 'log_every': 10, 'eval_every': 250}
    return config
