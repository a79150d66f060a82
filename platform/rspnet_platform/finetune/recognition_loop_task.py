"""What the loop needs for fine-tuning beside a pretraining run: weights to begin from, labels, each epoch's weights."""

from dataclasses import dataclass, replace

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from rspnet_core.clip_batch import ClipBatch
from rspnet_core.pretext.task import PretextTask
from rspnet_platform import storage
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.inference.weights_checksum import METADATA_KEY, check_weights, recorded_in, weights_sha256
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.train.loop_task import LoopTask
from rspnet_platform.train.training_state import TrainingState, build_task


@dataclass(frozen=True, kw_only=True)
class RecognitionLoopTask(LoopTask):
    """`class_of_video`: int32 by video index, four bytes a video. It comes here once, not with the clips: each of the
    stream's read tasks would carry it too. `weights_uri`: none begins from scratch. `epochs_uri`: where each epoch's
    weights go, none keeps none."""

    class_of_video: np.ndarray
    weights_uri: str | None
    epochs_uri: str | None
    num_videos_per_epoch: int

    def build(self, config: TrainingRunConfig) -> PretextTask:
        task = build_task(config)
        if self.weights_uri is not None:
            task.encoder.load_state_dict(read_weights(self.weights_uri))
        return task

    def labelled(self, batch: ClipBatch) -> ClipBatch:
        classes = self.class_of_video[batch.video_index.numpy()].astype(np.int64)
        assert classes.min() >= 0, "a video that is not to be trained on came through the stream"
        return replace(batch, labels=torch.from_numpy(classes)[:, None])

    def keep(self, state: TrainingState) -> None:
        """After a step that completes an epoch's number of videos. A resumed run writes the same bytes again."""
        epoch = completed_epoch(state.step, state.config.training.global_batch_size, self.num_videos_per_epoch)
        if self.epochs_uri is not None and epoch is not None:
            write_weights(epoch_uri(self.epochs_uri, epoch), state.task.state_dict())


def completed_epoch(step: int, global_batch_size: int, num_videos_per_epoch: int) -> int | None:
    """Counted from 1; None for a step that completes none. Batches go on over the end of an epoch."""
    epoch = step * global_batch_size // num_videos_per_epoch
    return epoch if epoch > (step - 1) * global_batch_size // num_videos_per_epoch else None


def epoch_uri(epochs_uri: str, epoch: int) -> str:
    """Epochs are counted from 1."""
    return storage.join(epochs_uri, f"{epoch:06d}.safetensors")


def kept_epochs(epochs_uri: str) -> list[int]:
    """Ascending."""
    names = storage.list_names(epochs_uri)
    return [int(name.removesuffix(".safetensors")) for name in names if not name.startswith(".")]


def write_weights(uri: str, weights: dict[str, Tensor]) -> None:
    # clone(): safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    storage.write_bytes(uri, safetensors.torch.save(copies, metadata={METADATA_KEY: weights_sha256(copies)}))


def read_weights(uri: str) -> dict[str, Tensor]:
    """Raises ValueError for what is not as `write_weights` left it."""
    data = storage.read_bytes(uri)
    try:
        weights, recorded = safetensors.torch.load(data), recorded_in(data)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{redact(uri)} is not a safetensors file: {error}") from error
    check_weights(weights, recorded, redact(uri))
    return weights
