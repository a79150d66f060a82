"""What a run's frozen encoder is asked at the end."""

from dataclasses import dataclass

from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS, RetrievalProtocol


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Retrieval from frozen features, beside the same of randomly initialised encoders (which beat two published
    methods, so that a number without them says little).

    `protocol` names one of `RETRIEVAL_PROTOCOLS`; clips are of `frame_stride`; `num_random_encoders` differ in their
    seed and give the mean and spread.
    """

    protocol: str = "rspnet_paper"
    frame_stride: int = 1
    num_random_encoders: int = 3

    def __post_init__(self) -> None:
        if self.protocol not in RETRIEVAL_PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}; accepted are {', '.join(RETRIEVAL_PROTOCOLS)}")
        for name in ("frame_stride", "num_random_encoders"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from 1 on")

    @property
    def retrieval_protocol(self) -> RetrievalProtocol:
        return RETRIEVAL_PROTOCOLS[self.protocol]
