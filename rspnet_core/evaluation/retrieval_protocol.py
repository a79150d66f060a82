"""How a retrieval number is made. Imports no torch: `--help` reads it, and results name it."""

from dataclasses import dataclass
from typing import Literal, get_args

Pooling = Literal["average", "spatial_max", "max_2x2_flattened"]
"""What makes a vector of a clip's feature map. "average": the mean over time and space. "spatial_max": the maximum
over space, then the mean over time. "max_2x2_flattened": the maximum over tiles of 2 x 2 positions, all kept."""

CARD_POOLINGS: tuple[Pooling, ...] = ("average", "spatial_max")
"""Those that give as many numbers as the encoder has channels, whatever the clip's size: what an embedding is."""

Windowing = Literal["even", "half_overlapping"]
"""Which clips stand for a video. "even": a fixed number, spread evenly. "half_overlapping": clip after clip, each
beginning in the middle of the one before, for as long as they fit."""

Centring = Literal["none", "gallery", "each_split"]
"""Which mean feature is taken away before cosines are. "gallery": the gallery's, from gallery and queries.
"each_split": from each its own, which uses all queries at once to answer each of them."""


@dataclass(frozen=True, kw_only=True)
class RetrievalProtocol:
    """A hit at k: one of the k nearest gallery videos by cosine has the query's label. A video's feature is the mean
    over its clips. `num_clips` is of the windowing "even".

    Clips have the encoder's own frames, stride and size, cut from the middle of the picture, whatever the protocol is
    named after: VCOP's are 16 frames, 112 pixels of pictures brought to 128 x 171, CoCLR's 32 frames of 128 pixels.
    """

    name: str
    description: str
    pooling: Pooling
    windowing: Windowing = "even"
    centring: Centring = "none"
    top_k: tuple[int, ...] = (1, 5, 10, 20, 50)
    num_clips: int = 10

    def __post_init__(self) -> None:
        for name, accepted in (("pooling", Pooling), ("windowing", Windowing), ("centring", Centring)):
            if getattr(self, name) not in get_args(accepted):
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted are {', '.join(get_args(accepted))}")
        if not self.top_k or min(self.top_k) < 1 or len(set(self.top_k)) != len(self.top_k):
            raise ValueError(f"top_k is {self.top_k}; accepted are different whole numbers from 1 on")
        if self.num_clips < 1:
            raise ValueError(f"num_clips is {self.num_clips}; accepted are whole numbers from 1 on")

    @property
    def stamp(self) -> str:
        """All that decides the number beside the encoder and the data, in one line."""
        clips = f"{self.num_clips} even clips" if self.windowing == "even" else "half-overlapping clips"
        return f"pooling {self.pooling}, windowing {clips}, mean over clips, centring {self.centring}, cosine"


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
            centring="gallery",
        ),
        RetrievalProtocol(
            name="vcop",
            description="VCOP's script: last map max-pooled (1, 2, 2) and flattened, mean of 10 even clips (its own "
            "leaves out up to 7 videos of each split)",
            pooling="max_2x2_flattened",
        ),
        RetrievalProtocol(
            name="coclr",
            description="CoCLR's script: half-overlapping windows (its own step by a frame less than half), average "
            "pool, each split centred by its own mean (without its colour jitter at test)",
            pooling="average",
            windowing="half_overlapping",
            centring="each_split",
        ),
    )
}
