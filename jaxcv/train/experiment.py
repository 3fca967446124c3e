"""The one abstraction: an experiment is a frozen record of pure functions.

The engine (`jaxcv.train.run`) knows nothing of any subject; a subject knows nothing of the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Array, Float, Key, PyTree

from jaxcv.data.batches import Batch, Held, Stream
from jaxcv.viz.media import Media

State = PyTree[Array]
Metrics = Mapping[str, Float[Array, '']]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a run is made of. Keys are arguments; nothing here may depend on the seed.

    Inside `step` the batch is one device's shard under `pmap` and the whole batch under a mesh:
    `jaxcv.ops.across` makes means, keys and positions the same in both.
    """

    # The whole state. jitted: must be traceable.
    init: Callable[[Key[Array, '']], State]
    # One step. Metrics are scalars; the engine averages them over devices.
    step: Callable[[State, Batch, Key[Array, '']], tuple[State, Metrics]]
    # None when the state makes its own data (environments).
    batches: Held | Stream | None = None
    # Path patterns of the leaves that differ between devices (environments, replay, walkers).
    # Their leading axis is global and is divided over the devices; the rest is replicated.
    split: tuple[str, ...] = ()
    # Called from the host with the whole state. Several named evaluations: a mapping, whose names
    # stand before their metrics ('train/accuracy'), the empty name giving bare metrics.
    evaluate: (
        Callable[[State, Key[Array, '']], Metrics]
        | Mapping[str, Callable[[State, Key[Array, '']], Metrics]]
        | None
    ) = None
    # What a person would look at: pictures, plots, video.
    show: Callable[[State, Key[Array, '']], Mapping[str, Media]] | None = None
    # Metrics of a step that are 0 as long as all is well. The first that is not ends the run, with
    # these words: what went wrong, and what to do.
    alarms: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # After an evaluation the state may take note of it (reduce-on-plateau).
    observe: Callable[[State, Mapping[str, float]], State] | None = None
    # Rare change of shape, every `config.train.adapt_every` steps: densify, grow resolution.
    adapt: Callable[[State, Key[Array, '']], State] | None = None
    # What a run that needs this one receives in its `build`: parameters and an `apply`.
    export: Callable[[State], Any] | None = None
    # Raised when what `export` gives changes its meaning: older runs are then refused.
    version: int = 0
