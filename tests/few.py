"""What makes the run of any config short."""

import os

# What computes little is not worth optimizing. Rays are much.
QUICK = {**os.environ, 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}

COUNT = 64  # examples


def environment(config):
    return None if 'viewed' in config else QUICK


def few_of(config) -> list[str]:
    """Flags: little data, small batches, little training of what it needs, few pictures in few
    steps, priors of two layers."""
    needs = [f'--config.needs.{need}.overrides' for need in config.needs]
    little = ('train.steps=3', 'train.show_every=-1', f'data.count={COUNT}')
    few = [f'{need}.{flag}' for need in needs for flag in little]
    few += [f'--config.train.batch_size={min(config.train.batch_size, 8)}']
    if 'viewed' not in config:
        few += [f'--config.data.count={COUNT}']
    if config.experiment == 'diffusion':
        few += [f'--config.sampler.{flag}' for flag in ('steps=2', 'count=20', 'scales=()')]
    if 'count' in config.get('judged', {}):
        few += ['--config.judged.count=20']
    if config.experiment == 'prior':
        few += ['--config.model.depth=2']
    if 'viewed' in config:
        few += ['--config.viewed.frames=2', '--config.viewed.judged=1']
    if config.experiment == 'splat':
        few += ['--config.initial.name=hull', '--config.initial.count=500']
    if config.get('data', {}).get('name') == 'capture':
        few += ['--config.data.name=desk']
    if config.get('data', {}).get('name') == 'desk':
        few += ['--config.data.image_size=100']  # the same photographs for all
    return few
