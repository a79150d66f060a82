"""What a campaign leaves for others: its classifier, in the registry."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.finetune.classifier_card import ClassifierCard
from rspnet_platform.finetune.recognition_loop_task import read_weights
from rspnet_platform.finetune.recognition_run import RecognitionRun
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.provenance import code_commit
from rspnet_platform.tracking.promotion import choose_alias, set_alias
from rspnet_platform.tracking.pyfunc_package import PyfuncParts, classifier_outputs
from rspnet_platform.tracking.registry import WEIGHTS_TAG, register_model

GATE_METRIC = "finetune/validation_top1"
"""Of the test videos neither the seed nor the champion is chosen."""
RECORD = "registered_model.json"


def best_validated(
    planned: Sequence[RecognitionRun], results: Sequence[Mapping[str, Any]]
) -> tuple[RecognitionRun, Mapping[str, Any]]:
    """Of the runs on the first data set, the one that does best on its validation videos; of equal ones, or where there
    are none, the first."""
    first = planned[0].run.dataset_sha256
    pairs = [pair for pair in zip(planned, results, strict=True) if pair[0].run.dataset_sha256 == first]
    return max(pairs, key=lambda pair: pair[1]["metrics"].get(GATE_METRIC, 0.0))


def register_classifier(
    folder_uri: str, planned: Sequence[RecognitionRun], results: Sequence[Mapping[str, Any]], model: str
) -> dict[str, str]:
    """Registers the best of a campaign that lies in `folder_uri` and began from `model`, once: where the best of more
    runs is still the same, nothing is done. Returns its run, URI and alias."""
    run, result = best_validated(planned, results)
    record_uri = storage.join(folder_uri, RECORD)
    if storage.exists(record_uri) and (kept := storage.read_json(record_uri))["run_name"] == result["run_name"]:
        return kept
    card, uri, name = card_of(run, result), run.run.tracking_uri, run.run.config.tracking.model_name
    weights = read_weights(run.classifier_uri)
    parts = PyfuncParts(
        name="classifier",
        code="classifier_model.py",
        save=lambda folder: save_classifier(folder, weights, card),
        outputs=lambda: classifier_outputs(card.class_names),
    )
    tags = {
        "protocol": card.protocol,
        "recipe": run.run.config.recipe,
        "model": model,
        "dataset_sha256": run.run.dataset_sha256,
        "code_commit": code_commit(),
        "run_name": run.run.name,
        WEIGHTS_TAG: weights_sha256(weights),
    }
    registered = register_model(uri, result["run_id"], name, parts, result["metrics"], tags)
    choice = choose_alias(uri, name, registered.version, GATE_METRIC)
    say(f"registered {run.run.name} as {name} version {registered.version}, {choice.alias}: {choice.reason}")
    set_alias(uri, name, registered.version, choice.alias)
    record = {
        "run_name": result["run_name"],
        "model_uri": registered.model_uri,
        "model_alias": f"models:/{name}@{choice.alias}",
    }
    storage.write_json(record_uri, record)
    return record


def card_of(run: RecognitionRun, result: Mapping[str, Any]) -> ClassifierCard:
    """Videos are shown as at the test that the metrics are of."""
    config = run.run.config
    return ClassifierCard(
        encoder=config.task.encoder,
        class_names=run.videos.class_names,
        clips=config.task.clips,
        num_clips_per_crop=config.test.num_clips_per_crop,
        num_crops=config.test.num_crops,
        crop_size=config.task.view.crop_size,
        short_side=run.run.dataset.description.short_side,
        normalisation=config.task.normalisation,
        protocol=result["protocol"],
    )


def save_classifier(folder: Path, weights: Mapping[str, torch.Tensor], card: ClassifierCard) -> tuple[Path, Path]:
    """Writes weights and card, with the weights' SHA-256, into a folder, which is made, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    weights_path, card_path = folder / "classifier.safetensors", folder / "classifier.json"
    save_file(dict(weights), weights_path)
    card = replace(card, weights_sha256=weights_sha256(weights))
    card_path.write_text(json.dumps(card.to_json_dict(), indent=2) + "\n")
    return weights_path, card_path
