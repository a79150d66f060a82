"""What a run's frozen encoder is asked at the end."""

from dataclasses import dataclass

from rspnet_core.evaluation.retrieval_protocol import CARD_POOLINGS, RETRIEVAL_PROTOCOLS, RetrievalProtocol

RUN_PROTOCOLS = tuple(
    name
    for name, protocol in RETRIEVAL_PROTOCOLS.items()
    if protocol.windowing == "even" and protocol.pooling in CARD_POOLINGS
)
"""Those whose feature the registered encoder gives as its embedding; `jobs/evaluate.py` has all."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Retrieval from frozen features, beside the same of randomly initialised encoders (which beat two published
    methods, so that a number without them says little).

    `protocol` names one of `RUN_PROTOCOLS`; clips are of `frame_stride`, by default that of the clips that are trained
    on; `num_random_encoders` differ in their seed and give the mean and spread. The registered encoder is shown the
    same clips.
    """

    protocol: str = "rspnet_paper"
    frame_stride: int | None = None
    num_random_encoders: int = 3

    def __post_init__(self) -> None:
        if self.protocol not in RUN_PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}; accepted at a run's end are {', '.join(RUN_PROTOCOLS)}")
        for name in ("frame_stride", "num_random_encoders"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}; accepted are whole numbers from 1 on")

    @property
    def retrieval_protocol(self) -> RetrievalProtocol:
        return RETRIEVAL_PROTOCOLS[self.protocol]
