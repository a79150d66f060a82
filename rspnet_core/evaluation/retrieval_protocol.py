"""How a retrieval number is made. Imports no torch: `--help` reads it, and results name it."""

from dataclasses import dataclass
from typing import Literal, get_args

Pooling = Literal["spatial_max", "average"]


@dataclass(frozen=True, kw_only=True)
class RetrievalProtocol:
    """A hit at k: one of the k nearest gallery videos by cosine has the query's label.

    `pooling` makes a vector of a clip's feature map ("spatial_max": maximum over height and width, mean over
    time; "average": mean over all three); a video's feature is the mean over its `num_clips` evenly spaced
    clips. `centring` takes the gallery's mean feature away from gallery and queries first.
    """

    name: str
    description: str
    pooling: Pooling
    top_k: tuple[int, ...] = (1, 5, 10, 20, 50)
    num_clips: int = 10
    centring: bool = False

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise ValueError(f"pooling is {self.pooling!r}; accepted are {', '.join(get_args(Pooling))}")
        if not self.top_k or min(self.top_k) < 1 or len(set(self.top_k)) != len(self.top_k):
            raise ValueError(f"top_k is {self.top_k}; accepted are different whole numbers from 1 on")
        if self.num_clips < 1:
            raise ValueError(f"num_clips is {self.num_clips}; accepted are whole numbers from 1 on")


RETRIEVAL_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        RetrievalProtocol(
            name="rspnet_paper",
            description="RSPNet's supplement: spatial max-pool of the last map, mean of 10 even clips",
            pooling="spatial_max",
        ),
        RetrievalProtocol(
            name="rspnet_code",
            description="RSPNet's script: average pool, mean of 10 clips (but for its augmented gallery)",
            pooling="average",
        ),
        RetrievalProtocol(
            name="centred",
            description="average pool, mean of 10 clips, the gallery's mean feature taken away",
            pooling="average",
            centring=True,
        ),
    )
}
