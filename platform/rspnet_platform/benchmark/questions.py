"""What encoders are asked together: those of one architecture that see the same clips, so that videos are decoded once
for all of them and each stands beside random initialisations of its own kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform.benchmark.benchmark_config import RANDOM, BenchmarkConfig
from rspnet_platform.benchmark.benchmark_run import BenchmarkRun
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.frozen_evaluation_config import EvaluationData
from rspnet_platform.inference.frozen_evaluation_question import Question, settle
from rspnet_platform.publishing import encoder_input, final_checkpoint, trained_encoder


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An encoder's architecture and how it is shown a video."""

    encoder: str
    encoder_input: EncoderInput

    @property
    def label(self) -> str:
        """Of the row of its random initialisations: all that may differ between the kinds of one benchmark."""
        shown = self.encoder_input
        stride = f" at stride {shown.frame_stride}" if shown.frame_stride > 1 else ""
        return (
            f"{RANDOM} ({self.encoder}, {shown.num_frames_per_clip} frames of {shown.crop_size}{stride}, "
            f"{shown.normalisation} colours)"
        )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An encoder that is asked. `row` is the recipe, or the label of its kind for a random one: `planned` is None."""

    row: str
    kind: Kind
    seed: int
    planned: BenchmarkRun | None = None

    @property
    def name(self) -> str:
        """Of its file: no spaces and brackets."""
        kept = "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in self.row)
        return f"{kept.strip('-')}-seed-{self.seed}"

    def load(self) -> VideoEncoder:
        if self.planned is None:
            return build_seeded(self.kind.encoder, self.seed)
        return trained_encoder(self.planned.run, final_checkpoint(self.planned.run))


def candidates(planned: Sequence[BenchmarkRun], num_seeds: int) -> list[Candidate]:
    """Random ones of each kind first, then the runs in their order."""
    kinds = list(dict.fromkeys(kind_of(run) for run in planned))
    random = [Candidate(row=kind.label, kind=kind, seed=seed) for kind in kinds for seed in range(num_seeds)]
    return random + [Candidate(row=run.recipe, kind=kind_of(run), seed=run.seed, planned=run) for run in planned]


def kind_of(planned: BenchmarkRun) -> Kind:
    return Kind(encoder=planned.run.config.task.encoder, encoder_input=encoder_input(planned.run))


def question_of(config: BenchmarkConfig, planned: BenchmarkRun, encoders: Mapping[str, VideoEncoder]) -> Question:
    """The protocols, the data set and the clips of the run's kind, put to `encoders`. Raises ValueError for what the
    data set cannot answer: no labels, or no splits where a protocol needs them."""
    run = planned.run
    asked = replace(
        config.protocols_of(run.config),
        data=EvaluationData(
            shards=run.dataset.uri, version=run.dataset.description.version, decoder=run.config.data.decoder
        ),
        tracking=run.config.tracking,
    )
    return replace(settle(asked), encoder_input=encoder_input(run), encoders=encoders)
