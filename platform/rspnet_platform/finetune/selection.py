"""Which epoch's weights are tested: the last, or the one that does best on the validation videos."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from rspnet_core.recognition.recognition import Recognition
from rspnet_core.recognition.scores import score
from rspnet_platform import storage
from rspnet_platform.finetune.recognition_loop_task import (
    completed_epoch,
    epoch_uri,
    kept_epochs,
    read_weights,
    write_weights,
)
from rspnet_platform.finetune.recognition_run import RecognitionRun
from rspnet_platform.publishing import final_checkpoint
from rspnet_platform.tracking import runs
from rspnet_platform.train.checkpoints import load_data_state, load_tensors
from rspnet_platform.train.training_state import build_task

MAX_BYTES_AT_ONCE = 1024**3
"""Of the candidates that one decode of the validation videos serves: an actor holds them all in memory."""

LAST = "last"
CHOICE = "chosen_epoch.json"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`epoch` None stands for the last step's weights, and `validation_top1` None for a choice without validation.
    `validation_top1_by_epoch` holds every candidate's."""

    epoch: int | None
    validation_top1: float | None
    validation_top1_by_epoch: Mapping[str, float]


def choose(run: RecognitionRun, *, use_gpu: bool) -> Choice:
    """Chooses once: the choice and its weights stay in the run's folder, the other epochs' go."""
    choice_uri = storage.join(run.run.uri, CHOICE)
    if not storage.exists(choice_uri):
        if len(run.videos.validation):
            choice = best_of(run, candidate_names(run), use_gpu=use_gpu)
        else:
            choice = Choice(epoch=None, validation_top1=None, validation_top1_by_epoch={})
        name = LAST if choice.epoch is None else str(choice.epoch)
        write_weights(run.classifier_uri, candidate_weights(run, name))
        storage.write_json(choice_uri, asdict(choice))  # last: what it names is there
    storage.delete_folder(run.epochs_uri)
    return Choice(**storage.read_json(choice_uri))


def candidate_names(run: RecognitionRun) -> list[str]:
    """The epochs that were kept, and the last step where it completes none."""
    last_step = load_data_state(final_checkpoint(run.run)).step
    epoch = completed_epoch(last_step, run.run.config.training.global_batch_size, len(run.videos.train))
    return [*map(str, kept_epochs(run.epochs_uri)), *([LAST] if epoch is None else [])]


def candidate_weights(run: RecognitionRun, name: str) -> dict[str, Tensor]:
    if name == LAST:
        return load_tensors(final_checkpoint(run.run))["task"]
    return read_weights(epoch_uri(run.epochs_uri, int(name)))


def network_with(run: RecognitionRun, weights: dict[str, Tensor]) -> Recognition:
    network: Any = build_task(run.run.config)
    network.load_state_dict(weights)
    return network


def best_of(run: RecognitionRun, candidates: list[str], *, use_gpu: bool) -> Choice:
    """By top-1 on the validation videos; of equal ones the one that gives the true classes more probability, and of
    those the first."""
    merits: dict[str, tuple[float, float]] = {}
    num_at_once = max(1, MAX_BYTES_AT_ONCE // num_bytes(build_task(run.run.config)))
    for first in range(0, len(candidates), num_at_once):
        names = candidates[first : first + num_at_once]
        networks = {name: network_with(run, candidate_weights(run, name)) for name in names}
        scored = run.score(
            run.videos.validation,
            networks,
            num_clips_per_crop=run.run.config.validation.num_clips_per_crop,
            num_crops=1,
            use_gpu=use_gpu,
        )
        labels = run.videos.class_of_video[scored.video_indices]
        for name in names:
            merits[name] = merit(scored.probabilities[name], labels)
    best = max(candidates, key=lambda name: merits[name])
    return Choice(
        epoch=None if best == LAST else int(best),
        validation_top1=merits[best][0],
        validation_top1_by_epoch={name: top1 for name, (top1, _) in merits.items()},
    )


def merit(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Top-1, and the mean probability of the true class: larger is better."""
    return score(probabilities, labels).top1, float(probabilities[np.arange(len(labels)), labels].mean())


def num_bytes(network: nn.Module) -> int:
    """Of its weights and buffers."""
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def log_choice(run: RecognitionRun, choice: Choice, mlflow_run_id: str) -> None:
    """A curve over the epochs; the last step's weights stand at the number of epochs."""
    num_epochs = run.run.config.training.num_epochs
    for name, top1 in choice.validation_top1_by_epoch.items():
        epoch = num_epochs if name == LAST else int(name)
        runs.log_metrics_once(run.run.tracking_uri, mlflow_run_id, epoch, {"finetune/validation_top1_by_epoch": top1})
