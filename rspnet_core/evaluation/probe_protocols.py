"""How a number of recognition from frozen features is made: nearest neighbours, linear classifiers, few labels.
Imports no torch: `--help` reads it, and results name it.

All take the encoder in eval mode (batch norm with its running statistics), the average pool and the mean over 10 even
clips: one vector a video.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Scaling = Literal["raw", "l2_normalised", "standardised"]
"""What becomes of features before a linear classifier. "l2_normalised": each to length 1. "standardised": each number
to mean 0 and deviation 1 over the videos that the classifier is fitted to."""

PROBE_NUM_CLIPS = 10
PROBE_STAMP = f"pooling average, windowing {PROBE_NUM_CLIPS} even clips, mean over clips, batch norm frozen"


@dataclass(frozen=True, kw_only=True)
class NearestNeighboursProtocol:
    """The class with the most votes of the k nearest gallery videos by cosine, a vote counting exp(cosine /
    temperature): as "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (arXiv 1805.01978,
    section 3.4) classifies, there with k = 200 and temperature 0.07. Every k gives a number of its own."""

    name: str
    description: str
    num_neighbours: tuple[int, ...] = (5, 20, 200)
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if not self.num_neighbours or min(self.num_neighbours) < 1:
            raise ValueError(f"num_neighbours is {self.num_neighbours}; accepted are whole numbers from 1 on")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; accepted are numbers above 0")

    @property
    def stamp(self) -> str:
        return f"{PROBE_STAMP}, centring none, cosine, votes exp(cosine / {self.temperature})"


@dataclass(frozen=True, kw_only=True)
class LinearProbeProtocol:
    """A linear classifier on frozen features: logistic regression, fitted to convergence without augmentation, on one
    vector a video.

    In this it is nobody's published protocol, whatever its scaling is named after, and its numbers do not stand beside
    those in print. CVRL's trains the layer with SGD for 100 epochs on augmented clips of 32 frames, and averages the
    softmax of 10 clips x 3 crops of 256 pixels. CoCLR's trains it behind a trainable batch norm, its rate and decay
    chosen on the test split. PySlowFast's trains it with SGD for 60 epochs, tests 30 views, and lets the encoder's
    batch norm use each batch's statistics.

    `strengths` of the penalty are tried on `validation_fraction` of the training videos, carved out so that no source
    is on both sides; the best one there is fitted to all of them. The test videos choose nothing. A strength is
    relative to the features' mean squared distance from their mean: features twice as long have the same classifier.
    """

    name: str
    description: str
    scaling: Scaling
    strengths: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    validation_fraction: float = 0.2

    def __post_init__(self) -> None:
        if self.scaling not in get_args(Scaling):
            raise ValueError(f"scaling is {self.scaling!r}; accepted are {', '.join(get_args(Scaling))}")
        if not self.strengths or min(self.strengths) <= 0:
            raise ValueError(f"strengths is {self.strengths}; accepted are numbers above 0")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction is {self.validation_fraction}; accepted are numbers between 0 and 1")

    @property
    def stamp(self) -> str:
        return (
            f"{PROBE_STAMP}, features {self.scaling}, logistic regression, penalty chosen on "
            f"{self.validation_fraction:g} of the training videos, no source on both sides"
        )


@dataclass(frozen=True, kw_only=True)
class FewLabelsProtocol:
    """The linear probe with the labels of a few training videos alone: of each class equally many, at least one, drawn
    `num_draws` times.

    The penalty is chosen among these labels alone, where each class has two sources or more to choose on; otherwise it
    is `fixed_strength`: a validation part of other labels would not be few labels.
    """

    name: str
    description: str
    probe: LinearProbeProtocol
    label_fractions: tuple[float, ...] = (0.01, 0.1)
    num_draws: int = 5
    fixed_strength: float = 1e-3

    def __post_init__(self) -> None:
        if not self.label_fractions or not all(0 < fraction <= 1 for fraction in self.label_fractions):
            raise ValueError(f"label_fractions is {self.label_fractions}; accepted are numbers above 0, up to 1")
        if self.num_draws < 1:
            raise ValueError(f"num_draws is {self.num_draws}; accepted are whole numbers from 1 on")
        if not self.fixed_strength > 0:
            raise ValueError(f"fixed_strength is {self.fixed_strength}; accepted are numbers above 0")

    @property
    def stamp(self) -> str:
        shares = " and ".join(f"{100 * fraction:g} %" for fraction in self.label_fractions)
        return (
            f"{PROBE_STAMP}, features {self.probe.scaling}, logistic regression on {shares} of the labels, equally "
            f"many a class and at least one, mean of {self.num_draws} draws, penalty chosen on these labels where each "
            f"class has two sources, else {self.fixed_strength:g}"
        )


NEAREST_NEIGHBOURS = NearestNeighboursProtocol(
    name="knn", description="instance discrimination's weighted votes of the nearest by cosine"
)
LINEAR_PROBES = {
    probe.name: probe
    for probe in (
        LinearProbeProtocol(
            name="linear_probe_normalised",
            description="features of length 1, as in CVRL's and CoCLR's; fitted as ours, to means of 10 clips",
            scaling="l2_normalised",
        ),
        LinearProbeProtocol(
            name="linear_probe_raw",
            description="features as they are, as in PySlowFast's; fitted as ours, batch norm frozen",
            scaling="raw",
        ),
        LinearProbeProtocol(
            name="linear_probe_standardised",
            description="each number standardised by the training videos (CoCLR's final batch norm does so to features "
            "of length 1)",
            scaling="standardised",
        ),
    )
}
FEW_LABELS = FewLabelsProtocol(
    name="few_labels",
    description="1 % and 10 % of the training labels, class-balanced",
    probe=LINEAR_PROBES["linear_probe_normalised"],
)
