"""What makes the run of any config short."""


def few_of(config) -> list[str]:
    """Flags: little training of what it needs, few pictures drawn in few steps."""
    needs = [f'--config.needs.{need}.overrides.train.steps=3' for need in config.needs]
    drawn = ['--config.sampler.steps=4', '--config.sampler.count=40', '--config.sampler.scales=()']
    return needs + (drawn if 'sampler' in config else [])
