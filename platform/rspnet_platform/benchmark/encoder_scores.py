"""Each encoder's numbers under each protocol, kept in the benchmark's folder: what is known is not computed again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rspnet_platform import storage
from rspnet_platform.benchmark.benchmark_config import BenchmarkConfig
from rspnet_platform.benchmark.questions import Candidate, Kind, question_of
from rspnet_platform.command_line import say
from rspnet_platform.inference.frozen_evaluation import clip_stamp, computed_features
from rspnet_platform.inference.frozen_evaluation_features import KindOfFeatures
from rspnet_platform.inference.frozen_evaluation_passes import FeatureKind
from rspnet_platform.inference.frozen_evaluation_question import Question
from rspnet_platform.inference.frozen_evaluation_scores import feature_kind, score
from rspnet_platform.inference.weights_checksum import weights_sha256

FOLDER = "scores"


@dataclass(frozen=True, kw_only=True)
class EncoderScores:
    """`numbers`: shares from 0 to 1 by protocol and by what they are; `stamps`: what each protocol is, by its name;
    `num_damaged` labelled videos could not be read."""

    row: str
    seed: int
    encoder: str
    model_sha256: str
    dataset_sha256: str
    stamps: Mapping[str, str]
    numbers: Mapping[str, Mapping[str, float]]
    num_damaged: int

    def answers(self, other: "EncoderScores") -> bool:
        """Whether these are the numbers of the same weights, data set and protocols."""
        return (self.model_sha256, self.dataset_sha256, dict(self.stamps)) == (
            other.model_sha256,
            other.dataset_sha256,
            dict(other.stamps),
        )


def score_all(config: BenchmarkConfig, asked: Sequence[Candidate], uri: str) -> list[EncoderScores]:
    """In the order of the candidates. Starts Ray, and ends it, where anything is to be computed."""
    found: dict[str, EncoderScores] = {}
    for kind in dict.fromkeys(candidate.kind for candidate in asked):
        of_kind = [candidate for candidate in asked if candidate.kind == kind]
        found |= score_kind(config, kind, of_kind, uri)
    return [found[candidate.name] for candidate in asked]


def score_kind(config: BenchmarkConfig, kind: Kind, asked: Sequence[Candidate], uri: str) -> dict[str, EncoderScores]:
    """By the candidates' names."""
    encoders = {candidate.name: candidate.load() for candidate in asked}
    planned = next(candidate.planned for candidate in asked if candidate.planned is not None)
    question = question_of(config, planned, encoders)
    wanted = {candidate.name: unanswered(candidate, kind, question) for candidate in asked}
    known = {name: kept for name, of in wanted.items() if (kept := read_scores(uri, name)) and kept.answers(of)}
    missing = {name: encoder for name, encoder in encoders.items() if name not in known}
    if missing:
        say(f"evaluating {len(missing)} encoders: {', '.join(missing)}")
        question = replace(question, encoders=missing)
        with computed_features(question) as features:
            known |= answered(question, {name: wanted[name] for name in missing}, features)
            for name in missing:
                storage.write_json(scores_uri(uri, name), asdict(known[name]))
    return known


def unanswered(candidate: Candidate, kind: Kind, question: Question) -> EncoderScores:
    """What would be known of the encoder, without its numbers."""
    shown, setting = clip_stamp(question.encoder_input), question.labelled.setting
    return EncoderScores(
        row=candidate.row,
        seed=candidate.seed,
        encoder=kind.encoder,
        model_sha256=weights_sha256(question.encoders[candidate.name].state_dict()),
        dataset_sha256=question.dataset.description.manifest_sha256,
        stamps={
            name: f"{protocol.name} ({protocol.stamp}; {shown}); {setting}"
            for name, protocol in question.config.protocols.items()
        },
        numbers={},
        num_damaged=0,
    )


def answered(
    question: Question, wanted: Mapping[str, EncoderScores], features: Mapping[FeatureKind, KindOfFeatures]
) -> dict[str, EncoderScores]:
    numbers: dict[str, dict[str, Mapping[str, float]]] = {name: {} for name in wanted}
    num_damaged = 0
    for protocol_name, protocol in question.config.protocols.items():
        of_kind = features[feature_kind(protocol)]
        found = question.labelled.found_in(of_kind.video_indices)
        num_damaged = max(num_damaged, len(question.labelled.labels) - len(found.labels))
        for name, vectors in of_kind.of_encoder.items():
            numbers[name][protocol_name] = score(protocol, vectors, found, seed=question.config.seed).numbers
    return {
        name: EncoderScores(**(asdict(of) | {"numbers": numbers[name], "num_damaged": num_damaged}))
        for name, of in wanted.items()
    }


def scores_uri(uri: str, name: str) -> str:
    return storage.join(uri, FOLDER, f"{name}.json")


def read_scores(uri: str, name: str) -> EncoderScores | None:
    """None for an encoder that has not been asked, or whose file is of another version of this program."""
    if not storage.exists(scores_uri(uri, name)):
        return None
    kept: Any = storage.read_json(scores_uri(uri, name))
    return EncoderScores(**kept) if set(kept) == set(EncoderScores.__annotations__) else None
