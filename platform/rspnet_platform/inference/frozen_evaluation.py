"""An encoder as it is, under named protocols, beside random initialisations of the same: what `jobs/evaluate.py` does.

Until its numbers are there, finished features are kept: the same command goes on from them after a kill. Once they are,
nothing is kept but what MLflow got, and the same command evaluates again.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rspnet_platform import runtime
from rspnet_platform.command_line import say
from rspnet_platform.config import flatten
from rspnet_platform.inference.embedding_actor import plan_embedding
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.frozen_evaluation_config import FrozenEvaluationConfig
from rspnet_platform.inference.frozen_evaluation_features import KindOfFeatures, compute_features
from rspnet_platform.inference.frozen_evaluation_passes import FeatureKind, FeatureSource
from rspnet_platform.inference.frozen_evaluation_question import Question, settle
from rspnet_platform.inference.frozen_evaluation_report import ProtocolResult, metrics, table
from rspnet_platform.inference.frozen_evaluation_request import FeatureRequest
from rspnet_platform.inference.frozen_evaluation_scores import feature_kind, score
from rspnet_platform.inference.retrieval_evaluation import TRAINED
from rspnet_platform.inference.unread_videos import check_unread
from rspnet_platform.provenance import code_commit
from rspnet_platform.run import closing_on_failure
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.redaction import redact

ASKED_TAG = "asked_sha256"
"""Of all that was asked for, by which an evaluation's run is found again."""


def evaluate_frozen(config: FrozenEvaluationConfig) -> dict[str, Any]:
    """Returns what the job prints. Raises ValueError for what cannot be evaluated, before any video is read."""
    question = settle(config)
    if config.is_tracked:
        check_reachable(question.tracking_uri)
    with computed_features(question) as features:
        results = {
            name: protocol_result(question, name, features[feature_kind(protocol)])
            for name, protocol in config.protocols.items()
        }
        title = f"{question.model.reference} on {redact(question.dataset.uri)}: {question.labelled.setting}"
        say(table(results, title, len(question.encoders) - 1))
        return track(question, answer(question, results), metrics(results))


@contextlib.contextmanager
def computed_features(question: Question) -> Iterator[Mapping[FeatureKind, KindOfFeatures]]:
    """Computed on Ray, which is started and ended before the block. Where the block fails, or this process is killed,
    what is finished of them stays for the next time that the same is asked; it is deleted where the block ends well.
    Raises ValueError where too many videos are damaged: these are read again next time."""
    runtime.connect()
    try:
        source = feature_source(question)
        say(
            f"reading {len(source.video_indices)} labelled videos of {len(question.dataset.videos)} for "
            f"{len(question.config.protocols)} protocols and {len(question.encoders)} encoders"
        )
        features = compute_features(source, question.encoders, question.kinds)
    finally:
        runtime.disconnect()
    try:
        check_damage(question, features)
    except ValueError:
        source.kept.read_damaged_again()
        raise
    yield features
    source.kept.delete()


def feature_source(question: Question) -> FeatureSource:
    """For the cluster that this process is connected to."""
    config = question.config
    cpus, gpus = runtime.cluster_resources()
    resources, _ = plan_embedding(
        cluster_cpus=cpus,
        cluster_gpus=gpus,
        cpus_per_decode_task=config.cpus_per_decode_task,
        use_gpu=config.use_gpu,
        num_videos=len(question.labelled.video_indices),
    )
    request = FeatureRequest.of(question, use_gpu=resources.use_gpu)
    return FeatureSource(
        dataset=question.dataset,
        video_indices=question.labelled.video_indices,
        encoder_input=question.encoder_input,
        kept=request.begin(question.model.reference),
        resources=resources,
        cpus_per_decode_task=config.cpus_per_decode_task,
        decoder=config.data.decoder,
    )


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
    """`result` with its metrics, and with the MLflow run that holds them all where it is tracked: the one of an earlier
    attempt at the same that was interrupted here, where there is one."""
    result = {**result, "metrics": dict(numbers)}
    config, uri = question.config, question.tracking_uri
    if not config.is_tracked:
        return {**result, "run_id": None, "tracking_uri": None}
    commit, experiment = code_commit(), config.tracking.experiment
    asked = [flatten(config), question.model.sha256, result["dataset_sha256"], commit]
    asked_sha256 = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    tags = {
        "job": "evaluate",
        "model": question.model.reference,
        "model_sha256": question.model.sha256,
        "dataset_sha256": result["dataset_sha256"],
        "code_commit": commit,
        ASKED_TAG: asked_sha256,
        **{f"protocol.{name}": of["protocol"] for name, of in result["protocols"].items()},
    }
    run_name = f"evaluate-{question.model.card.encoder}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    earlier = runs.find_unfinished(uri, experiment, ASKED_TAG, asked_sha256)
    run_id = runs.start_run(uri, experiment, run_name, flatten(config), tags, run_id=earlier)
    with closing_on_failure(uri, run_id):
        runs.log_metrics_once(uri, run_id, 0, numbers)
        runs.log_json(uri, run_id, result, "evaluation.json")
        runs.end_run(uri, run_id, "FINISHED")
    return {**result, "run_id": run_id, "tracking_uri": redact(uri)}
