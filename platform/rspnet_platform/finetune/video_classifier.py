"""Video files in, the probabilities of their classes out: clips, crops and colours as at the fine-tuning's test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from rspnet_core.recognition.recognition import Recognition
from rspnet_core.sampling.views import identity_numbers
from rspnet_platform.finetune.classifier_card import ClassifierCard
from rspnet_platform.finetune.clip_scores import score_clips
from rspnet_platform.inference.video_embedder import OpenFrames, Video, read_clips, read_video
from rspnet_platform.inference.weights_checksum import check_weights
from rspnet_platform.shards.i420 import picture_planes
from rspnet_platform.stream.crops import crop_and_resize


class VideoClassifier:
    """A network with these weights under its card, on the CPU. Raises ValueError for weights of another shape."""

    def __init__(self, weights: Mapping[str, Tensor], card: ClassifierCard) -> None:
        self.card = card
        self._network = Recognition(card.task).eval()
        try:
            self._network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit a {card.encoder} of {len(card.class_names)} classes") from error

    @classmethod
    def read(cls, weights_path: Path, card_path: Path) -> "VideoClassifier":
        """Raises ValueError for a card or weights that are refused, and for others than the card was saved with."""
        weights, card = load_file(weights_path), ClassifierCard.from_json_dict(json.loads(card_path.read_text()))
        check_weights(weights, card.weights_sha256, str(weights_path))
        return cls(weights, card)

    def probabilities(self, videos: Sequence[Video]) -> np.ndarray:
        """float32 [num_videos, num_classes], in the order of the card's class names. A video is a path or the bytes of
        a file. Raises as `VideoEmbedder.embed` does."""
        found = np.empty((len(videos), len(self.card.class_names)), dtype=np.float32)
        for position, video in enumerate(videos):
            planes = read_video(video, position, self.card.short_side, self._planes)
            found[position] = self._score(planes)
        return found

    def _planes(self, open_frames: OpenFrames) -> np.ndarray:
        """uint8 [num_clips, time, crop_size * 3 // 2, crop_size]"""
        plan, frames = read_clips(open_frames, self.card.sampler)
        plane_rows, width = next(iter(frames.values())).shape
        boxes = [square.box(plane_rows * 2 // 3, width) for square in self.card.squares]
        return np.stack(
            [
                crop_and_resize(
                    [picture_planes(frames[index]) for index in clip.frame_indices],
                    [boxes[clip.augmentation_group]],
                    self.card.crop_size,
                )
                for clip in plan.clips
            ]
        )

    def _score(self, planes: np.ndarray) -> np.ndarray:
        numbers = torch.from_numpy(identity_numbers(planes.shape[1])).expand(1, len(planes), -1, -1)
        whole = torch.from_numpy(planes)[None]
        scores = score_clips({"": self._network}, whole, numbers, self.card.normalisation, torch.device("cpu"))
        return scores[""][0].numpy()
