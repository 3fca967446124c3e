"""What makes the run of any config short."""


def few_of(config) -> list[str]:
    """Flags: little training of what it needs, few pictures drawn in few steps."""
    needs = [f'--config.needs.{need}.overrides.train' for need in config.needs]
    few = [f'{need}.{flag}' for need in needs for flag in ('steps=3', 'show_every=-1')]
    if config.experiment == 'diffusion':
        few += [f'--config.sampler.{flag}' for flag in ('steps=4', 'count=40', 'scales=()')]
    if 'count' in config.get('judged', {}):
        few += ['--config.judged.count=40']
    if config.experiment == 'radiance':
        few += ['--config.viewed.frames=2', '--config.viewed.judged=2']
    return few
