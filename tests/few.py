"""What makes the run of any config short."""


def few_of(config) -> list[str]:
    """Flags: little training of what it needs, few pictures drawn in few steps."""
    few = [f'--config.needs.{need}.overrides.train.steps=3' for need in config.needs]
    if config.experiment == 'diffusion':
        few += [f'--config.sampler.{flag}' for flag in ('steps=4', 'count=40', 'scales=()')]
    if 'judged' in config:
        few += ['--config.judged.count=40']
    return few
