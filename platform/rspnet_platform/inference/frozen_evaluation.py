"""An encoder as it is, under named protocols, beside random initialisations of the same: what `jobs/evaluate.py` does.

Nothing is kept between runs but what MLflow gets: the same command simply evaluates again.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import runtime
from rspnet_platform.command_line import say
from rspnet_platform.config import flatten
from rspnet_platform.embedded_dataset import embedded_dataset
from rspnet_platform.home import default_home
from rspnet_platform.inference.embedding_actor import plan_embedding
from rspnet_platform.inference.embedding_clips import input_for
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.frozen_evaluation_config import FrozenEvaluationConfig
from rspnet_platform.inference.frozen_evaluation_features import (
    FeatureKind,
    FeatureSource,
    KindOfFeatures,
    compute_features,
)
from rspnet_platform.inference.frozen_evaluation_report import ProtocolResult, metrics, table
from rspnet_platform.inference.frozen_evaluation_scores import check_labels, feature_kind, score
from rspnet_platform.inference.model_reference import LoadedModel, load_model, weights_sha256
from rspnet_platform.inference.retrieval_evaluation import RANDOM_PREFIX, TRAINED, LabelledVideos
from rspnet_platform.inference.unread_videos import check_unread
from rspnet_platform.provenance import code_commit
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri


@dataclass(frozen=True, kw_only=True)
class Question:
    """Everything that was asked, looked up and found to be answerable."""

    config: FrozenEvaluationConfig
    dataset: ShardedDataset
    labelled: LabelledVideos
    model: LoadedModel
    encoder_input: EncoderInput
    encoders: Mapping[str, VideoEncoder]
    tracking_uri: str


def evaluate_frozen(config: FrozenEvaluationConfig) -> dict[str, Any]:
    """Returns what the job prints. Raises ValueError for what cannot be evaluated, before any video is read."""
    question = settle(config)
    if config.is_tracked:
        check_reachable(question.tracking_uri)
    features = compute(question)
    results = {
        name: protocol_result(question, name, features[feature_kind(protocol)])
        for name, protocol in config.protocols.items()
    }
    title = f"{question.model.reference} on {redact(question.dataset.uri)}: {question.labelled.setting}"
    say(table(results, title, len(question.encoders) - 1))
    return track(question, answer(question, results), metrics(results))


def settle(config: FrozenEvaluationConfig) -> Question:
    """Raises ValueError for a model, a data set or labels that the protocols cannot do with."""
    home = default_home()
    tracking_uri = resolve_tracking_uri(config.tracking, home)
    model = load_model(config.model, tracking_uri)
    dataset = open_dataset(config.data.shards or embedded_dataset(home), config.data.version)
    labelled = labelled_videos(config, dataset)
    encoder_input = replace(input_for(model.card, dataset.description), **config.clips.changed)
    size = encoder_input.crop_size
    model.encoder.check_clip_size(num_frames=encoder_input.num_frames_per_clip, height=size, width=size)
    frame_reader(dataset.description, config.data.decoder)  # raises for a decoder that the profile does not have
    return Question(
        config=config,
        dataset=dataset,
        labelled=labelled,
        model=model,
        encoder_input=encoder_input,
        encoders=encoders_of(model, config.num_random_encoders),
        tracking_uri=tracking_uri,
    )


def labelled_videos(config: FrozenEvaluationConfig, dataset: ShardedDataset) -> LabelledVideos:
    """Raises ValueError that says what the data set lacks: labels, splits, or labels in one of them."""
    data, splits = config.data, dataset.description.splits
    labelled = LabelledVideos.from_dataset(dataset, gallery_split=data.gallery_split, query_split=data.query_split)
    if missing := [name for name in (data.gallery_split, data.query_split) if splits and name not in splits]:
        raise ValueError(
            f"the data set {redact(dataset.uri)} has no split {missing[0]!r}; accepted for --data.gallery-split and "
            f"--data.query-split are {', '.join(sorted(splits))}"
        )
    if labelled is None:
        num_labelled = len(dataset.videos) - dataset.videos["label"].null_count
        raise ValueError(
            f"{num_labelled} of the {len(dataset.videos)} videos of {redact(dataset.uri)} have a label"
            + (f", and not both {data.gallery_split!r} and {data.query_split!r} have one that does" if splits else "")
            + "; accepted are data sets with labelled videos to look for and to look among (jobs/ingest.py takes "
            "labels from class folders or a CSV's column `label`)"
        )
    if len(labelled.class_names) < 2:
        raise ValueError(f"all labelled videos are of the classes {labelled.class_names}; accepted are 2 or more")
    try:
        for name, protocol in config.protocols.items():
            check_labels(name, protocol, labelled, seed=config.seed)
    except ValueError as error:
        raise ValueError(f"{redact(dataset.uri)}: {error}") from error
    return labelled


def encoders_of(model: LoadedModel, num_random_encoders: int) -> dict[str, VideoEncoder]:
    """The model's, and random ones of the first seeds that do not give the very same encoder."""
    encoders, seed = {TRAINED: model.encoder}, 0
    while len(encoders) <= num_random_encoders:
        encoder = build_seeded(model.card.encoder, seed)
        if weights_sha256(encoder) != model.sha256:
            encoders[f"{RANDOM_PREFIX}{seed}"] = encoder
        seed += 1
    return encoders


def compute(question: Question) -> dict[FeatureKind, KindOfFeatures]:
    """On Ray, which is started and ended. Raises ValueError where too many videos are damaged."""
    config, labelled = question.config, question.labelled
    kinds = list(dict.fromkeys(feature_kind(protocol) for protocol in config.protocols.values()))
    runtime.connect()
    try:
        cpus, gpus = runtime.cluster_resources()
        resources, _ = plan_embedding(
            cluster_cpus=cpus,
            cluster_gpus=gpus,
            cpus_per_decode_task=config.cpus_per_decode_task,
            use_gpu=config.use_gpu,
            num_videos=len(labelled.video_indices),
        )
        say(
            f"reading {len(labelled.video_indices)} labelled videos of {len(question.dataset.videos)} for "
            f"{len(config.protocols)} protocols and {len(question.encoders)} encoders"
        )
        with tempfile.TemporaryDirectory(prefix="rspnet-") as folder:
            source = FeatureSource(
                dataset=question.dataset,
                video_indices=labelled.video_indices,
                encoder_input=question.encoder_input,
                damage=DamageLedger(uri=folder),
                resources=resources,
                cpus_per_decode_task=config.cpus_per_decode_task,
                decoder=config.data.decoder,
            )
            features = compute_features(source, question.encoders, kinds)
    finally:
        runtime.disconnect()
    check_damage(question, features)
    return features


def check_damage(question: Question, features: Mapping[FeatureKind, KindOfFeatures]) -> None:
    """Raises ValueError where more videos are damaged than `data.max_damaged_fraction` allows."""
    for kind in features.values():
        check_unread(
            question.dataset,
            kind.damaged,
            num_asked=len(question.labelled.video_indices),
            max_damaged_fraction=question.config.data.max_damaged_fraction,
        )


def protocol_result(question: Question, name: str, features: KindOfFeatures) -> ProtocolResult:
    """Of every encoder, on the videos that could be read."""
    protocol = question.config.protocols[name]
    found = question.labelled.found_in(features.video_indices)
    scores = {
        encoder: score(protocol, vectors, found, seed=question.config.seed)
        for encoder, vectors in features.of_encoder.items()
    }
    return ProtocolResult(
        stamp=f"{protocol.name} ({protocol.stamp}; {clip_stamp(question.encoder_input)}); {found.setting}",
        score=scores.pop(TRAINED),
        random=list(scores.values()),
        damaged=features.damaged,
    )


def clip_stamp(encoder_input: EncoderInput) -> str:
    return (
        f"clips of {encoder_input.num_frames_per_clip} frames at stride {encoder_input.frame_stride}, centre square at "
        f"{encoder_input.crop_size} pixels of short side {encoder_input.short_side}"
    )


def answer(question: Question, results: Mapping[str, ProtocolResult]) -> dict[str, Any]:
    """What the job prints, but for the run that it becomes."""
    labelled, dataset = question.labelled, question.dataset
    asked = labelled.labels if labelled.is_query is None else labelled.labels[labelled.is_query]
    damaged = {entry["video_index"]: entry for result in results.values() for entry in result.damaged}
    return {
        "model": question.model.reference,
        "model_sha256": question.model.sha256,
        "encoder": question.model.card.encoder,
        "random_encoders": [name for name in question.encoders if name != TRAINED],
        "dataset": redact(dataset.uri),
        "dataset_sha256": dataset.description.manifest_sha256,
        "dataset_version": dataset.description.version,
        "setting": labelled.setting,
        "num_videos": len(dataset.videos),
        "num_labelled_videos": len(labelled.labels),
        "num_queries_without_class": labelled.num_without_class,
        "num_classes": len(labelled.class_names),
        "largest_class_fraction": float(np.bincount(asked).max() / len(asked)),
        "damaged_videos": [damaged[index] for index in sorted(damaged)],
        "protocols": {name: result.to_json() for name, result in results.items()},
    }


def track(question: Question, result: dict[str, Any], numbers: Mapping[str, float]) -> dict[str, Any]:
    """`result` with its metrics, and with the MLflow run that holds them all where it is tracked."""
    result = {**result, "metrics": dict(numbers)}
    config, uri = question.config, question.tracking_uri
    if not config.is_tracked:
        return {**result, "run_id": None, "tracking_uri": None}
    tags = {
        "job": "evaluate",
        "model": question.model.reference,
        "model_sha256": question.model.sha256,
        "dataset_sha256": result["dataset_sha256"],
        "code_commit": code_commit(),
        **{f"protocol.{name}": of["protocol"] for name, of in result["protocols"].items()},
    }
    run_name = f"evaluate-{question.model.card.encoder}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run_id = runs.start_run(uri, config.tracking.experiment, run_name, flatten(config), tags)
    runs.log_metrics_once(uri, run_id, 0, numbers)
    runs.log_json(uri, run_id, result, "evaluation.json")
    runs.end_run(uri, run_id, "FINISHED")
    return {**result, "run_id": run_id, "tracking_uri": redact(uri)}
