"""How colours become what an encoder's first layer sees: each method has its own. Imports no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

NormalisationName = Literal["imagenet", "zero_to_one", "slowfast", "zero_to_255"]
"""`imagenet`: RSPNet's published code. `zero_to_one`: CVRL, clip order. `slowfast`: the code of rho-MoCo and its kin.
`zero_to_255`: Pace's published code, in which blue and red are exchanged; here they are not."""


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """(colour - `mean`) / `std` of RGB in 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NORMALISATIONS: dict[str, Normalisation] = {
    "imagenet": Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "zero_to_one": Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "slowfast": Normalisation(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)),
    "zero_to_255": Normalisation(mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255)),
}


def check_normalisation(name: str) -> None:
    """Raises ValueError for a normalisation that does not exist."""
    if name not in get_args(NormalisationName):
        raise ValueError(f"normalisation is {name!r}; accepted are {', '.join(get_args(NormalisationName))}")
