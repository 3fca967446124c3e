"""The `train` section of a config: how a run is run. Every field can be overridden by flag."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Defaults of `config.train`; a config states only what differs."""

    steps: int = 1000
    batch_size: int = 128  # global: divided over all devices of all processes
    steps_per_call: int = 0  # steps run on the device between two looks from the host; 0: by speed

    # What is written, and how often, in steps. 0: only at the end.
    log_every: int = 50
    eval_every: int = 0
    show_every: int = 0  # 0: with evaluations and at the end; -1: never
    checkpoint_every: int = 1000
    adapt_every: int = 0  # 0: never
    keep_last: int = 2
    keep_best: str = ''  # name of an evaluation metric whose best checkpoint is kept
    keep_best_mode: str = 'max'
    keep_every: int = 0  # checkpoints at multiples of this many steps are kept for good

    early_stop: str = ''  # name of an evaluation metric; stops when it no longer improves
    early_stop_mode: str = 'max'
    patience: int = 5  # evaluations without improvement
    stop_on_nan: bool = True

    # What `jaxcv.train.update` does around the loss.
    accumulate: int = 1  # microbatches per step
    precision: str = 'float32'  # or 'bfloat16': the loss computes in it, parameters stay float32
    ema: float = 0.0  # decay of the parameter average used for evaluation; 0: none
    frozen: tuple = ()  # path patterns of parameters that do not train

    # Layout. 'pmap': replicated. 'mesh': sharded over `model_devices` and, with fsdp, over data.
    parallel: str = 'pmap'
    model_devices: int = 1
    fsdp: bool = True
    rules: tuple = ()  # ((path pattern, (axis or None for each dimension)), ...), before fsdp
    cpu_devices: int = 0  # virtual devices on a CPU; 0: automatic

    init_from: str = ''  # a run directory whose newest checkpoint gives initial values
    init_rules: tuple = ()  # ((pattern here, pattern there), ...); empty: equal paths


# Fields that may change between the start of a run and its continuation.
WATCHING = {
    'steps', 'steps_per_call', 'log_every', 'eval_every', 'show_every', 'checkpoint_every',
    'keep_last', 'keep_best', 'keep_best_mode', 'keep_every', 'early_stop', 'early_stop_mode',
    'patience', 'stop_on_nan', 'parallel', 'model_devices', 'fsdp', 'rules', 'cpu_devices',
}  # fmt: skip
