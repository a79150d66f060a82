"""All that decides an evaluation's features, by which those of an interrupted one are known again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from rspnet_platform import storage
from rspnet_platform.home import default_home
from rspnet_platform.inference.embedding_actor import MAX_CLIPS_AT_ONCE
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.frozen_evaluation_question import Question
from rspnet_platform.inference.kept_features import KeptFeatures
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.provenance import code_commit
from rspnet_platform.tracking.redaction import redact

SCHEMA_VERSION = 1
FOLDER, RECORD_NAME = "evaluations", "evaluation.json"


@dataclass(frozen=True, kw_only=True)
class FeatureRequest:
    """Equal requests have equal features. `encoders` are the hashes of their weights by name; `dataset` is where it
    lies, because a copy may be damaged elsewhere."""

    encoders: Mapping[str, str]
    encoder: str
    input: EncoderInput
    kinds: tuple[Mapping[str, Any], ...]
    dataset: str
    dataset_sha256: str
    dataset_version: int
    video_indices_sha256: str
    decoder: str | None
    use_gpu: bool
    num_videos_per_part: int
    code_commit: str
    torch_version: str = torch.__version__
    max_clips_at_once: int = MAX_CLIPS_AT_ONCE
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, question: Question, *, use_gpu: bool) -> "FeatureRequest":
        indices = np.ascontiguousarray(question.labelled.video_indices, np.int64)
        return cls(
            encoders={name: weights_sha256(encoder.state_dict()) for name, encoder in question.encoders.items()},
            encoder=question.model.card.encoder,
            input=question.encoder_input,
            kinds=tuple(asdict(kind) for kind in question.kinds),
            dataset=redact(question.dataset.uri),
            dataset_sha256=question.dataset.description.manifest_sha256,
            dataset_version=question.dataset.description.version,
            video_indices_sha256=hashlib.sha256(indices.tobytes()).hexdigest(),
            decoder=question.config.data.decoder,
            use_gpu=use_gpu,
            num_videos_per_part=question.config.num_videos_per_part,
            code_commit=code_commit(),
        )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def begin(self, model: str) -> KeptFeatures:
        """The folder for what is finished, with a record for people of what it is; `model` as it was asked for."""
        uri = storage.join(str(default_home()), FOLDER, self.sha256)
        storage.write_json(storage.join(uri, RECORD_NAME), {"model": model, **asdict(self)})
        return KeptFeatures(uri=uri, request_sha256=self.sha256, num_videos_per_part=self.num_videos_per_part)
