"""What an encoder is asked without being trained further. Imports nothing heavy: a job's `--help` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from rspnet_core.evaluation.probe_protocols import (
    FEW_LABELS,
    LINEAR_PROBES,
    NEAREST_NEIGHBOURS,
    FewLabelsProtocol,
    LinearProbeProtocol,
    NearestNeighboursProtocol,
)
from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS, RetrievalProtocol
from rspnet_platform.inference.model_reference import MODEL_REFERENCE_HELP
from rspnet_platform.stream.data_config import Decoder, check_max_damaged_fraction
from rspnet_platform.tracking.tracking_config import TrackingConfig

FrozenProtocol = RetrievalProtocol | NearestNeighboursProtocol | LinearProbeProtocol | FewLabelsProtocol

ALL_PROTOCOLS = "all"
FROZEN_PROTOCOLS: Mapping[str, FrozenProtocol] = {
    **RETRIEVAL_PROTOCOLS,
    NEAREST_NEIGHBOURS.name: NEAREST_NEIGHBOURS,
    **LINEAR_PROBES,
    FEW_LABELS.name: FEW_LABELS,
}
OTHER_NAMES: Mapping[str, str] = {"retrieval": "rspnet_paper", "linear_probe": "linear_probe_normalised"}
"""What papers just call by that name. A number keeps the name that it was asked for by."""

PROTOCOL_HELP = "One or more of: " + "; ".join(
    [f"{name} ({protocol.description})" for name, protocol in FROZEN_PROTOCOLS.items()]
    + [f"{name} (the same as {same})" for name, same in OTHER_NAMES.items()]
    + [f"{ALL_PROTOCOLS}."]
)


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """The labelled videos, and which of them answer whom."""

    shards: str | None = None
    """The folder or URI that jobs/ingest.py wrote; none for the embedded data set."""
    version: int | None = None
    """Of the data set; the newest by default."""
    gallery_split: str = "train"
    """The videos that are looked among and that classifiers are fitted to."""
    query_split: str = "test"
    """The videos that numbers are of. In a data set without splits each video is looked for among all others."""
    max_damaged_fraction: float = 0.01
    """Of the labelled videos, rounded up: more that cannot be read are an error. Fewer are left out and listed."""
    decoder: Decoder | None = None
    """How a data set of the profile original is decoded; pyav by default."""

    def __post_init__(self) -> None:
        check_max_damaged_fraction(self.max_damaged_fraction)
        if self.gallery_split == self.query_split:
            raise ValueError(f"gallery_split and query_split are both {self.query_split!r}; accepted are two splits")


@dataclass(frozen=True, kw_only=True)
class ClipChanges:
    """Clips of another kind than the model's card says: none keeps to the card."""

    num_frames_per_clip: int | None = None
    frame_stride: int | None = None
    crop_size: int | None = None

    @property
    def changed(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class FrozenEvaluationConfig:
    """Which encoder, on which videos, by which protocols."""

    model: Annotated[str, tyro.conf.arg(help=MODEL_REFERENCE_HELP)]
    protocol: Annotated[tuple[str, ...], tyro.conf.arg(help=PROTOCOL_HELP)] = ("retrieval",)
    data: EvaluationData = field(default_factory=EvaluationData)
    clips: ClipChanges = field(default_factory=ClipChanges)
    num_random_encoders: int = 3
    """Random initialisations of the same encoder, of the seeds 0, 1, ..., that stand beside it."""
    seed: int = 0
    """Of the validation part and of the draws of few labels."""
    is_tracked: Annotated[bool, tyro.conf.arg(name="tracking")] = True
    """Numbers, protocols and the data set's hash become a run of MLflow's."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    use_gpu: bool | None = None
    """By default where the cluster has any."""
    cpus_per_decode_task: float = 0.5
    """What a task that reads and decodes videos takes of the cluster."""
    num_videos_per_part: int = 64
    """Finished features are kept in parts of so many videos until the numbers are there: what a kill costs."""

    def __post_init__(self) -> None:
        accepted = [*FROZEN_PROTOCOLS, *OTHER_NAMES, ALL_PROTOCOLS]
        if unknown := [name for name in self.protocol if name not in accepted]:
            raise ValueError(f"protocol is {unknown[0]!r}; accepted are {', '.join(accepted)}")
        if not self.protocol:
            raise ValueError(f"protocol is empty; accepted are one or more of {', '.join(accepted)}")
        for name, least in (("num_random_encoders", 1), ("seed", 0), ("num_videos_per_part", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from {least} on")
        if self.cpus_per_decode_task <= 0:
            raise ValueError(f"cpus_per_decode_task is {self.cpus_per_decode_task}; accepted are numbers above 0")

    @property
    def protocols(self) -> dict[str, FrozenProtocol]:
        """By the name that they were asked for by, each once."""
        names = FROZEN_PROTOCOLS if ALL_PROTOCOLS in self.protocol else self.protocol
        return {name: FROZEN_PROTOCOLS[OTHER_NAMES.get(name, name)] for name in names}
