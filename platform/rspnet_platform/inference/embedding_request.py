"""All that decides a data set's embeddings, and by which they are known again: `embeddings.json`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rspnet_platform import storage
from rspnet_platform.inference.embedding_clips import input_for
from rspnet_platform.inference.embedding_config import EmbedConfig
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.model_reference import LoadedModel
from rspnet_platform.shards.dataset import ShardedDataset

SCHEMA_VERSION = 1
RECORD_NAME = "embeddings.json"


@dataclass(frozen=True, kw_only=True)
class EmbeddingRequest:
    """Equal requests have equal embeddings, wherever model, data set and output lie."""

    model_sha256: str
    encoder: str
    feature_dim: int
    input: EncoderInput
    num_crops: int
    dataset_sha256: str
    split: str
    decoder: str | None
    num_videos_per_part: int
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, config: EmbedConfig, model: LoadedModel, dataset: ShardedDataset) -> "EmbeddingRequest":
        """Raises ValueError for a data set or a number of frames and pixels that the encoder cannot take."""
        encoder_input = input_for(model.card, dataset.description, num_clips=config.num_clips)
        side = encoder_input.crop_size
        model.encoder.check_clip_size(num_frames=encoder_input.num_frames_per_clip, height=side, width=side)
        return cls(
            model_sha256=model.sha256,
            encoder=model.card.encoder,
            feature_dim=model.card.feature_dim,
            input=encoder_input,
            num_crops=config.num_crops,
            dataset_sha256=dataset.description.manifest_sha256,
            split=config.split,
            decoder=config.decoder,
            num_videos_per_part=config.num_videos_per_part,
        )

    @property
    def sha256(self) -> str:
        """Stands in every part."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def check(self, output: str) -> None:
        """Raises ValueError where the folder holds embeddings of another request, naming what differs."""
        uri = storage.join(output, RECORD_NAME)
        if storage.exists(uri):
            self._refuse_another(uri, storage.read_json(uri))

    def begin(self, output: str, told: Mapping[str, Any]) -> None:
        """Enters in the folder what its parts will be of. `told` is for readers alone."""
        storage.write_json(storage.join(output, RECORD_NAME), {"is_complete": False, **asdict(self), **told})

    def finish(
        self, output: str, told: Mapping[str, Any], damaged: Sequence[Mapping[str, Any]], num_videos: int
    ) -> None:
        """The record of what is complete; written last."""
        counts = {"num_videos": num_videos, "num_damaged": len(damaged), "damaged": list(damaged)}
        record = {"is_complete": True, **asdict(self), **told, **counts}
        storage.write_json(storage.join(output, RECORD_NAME), record)

    def _refuse_another(self, uri: str, record: Any) -> None:
        if not isinstance(record, dict) or "is_complete" not in record:
            raise ValueError(f"{uri} is not a record of embeddings; accepted is another --output")
        own = json.loads(json.dumps(asdict(self)))
        if differences := [
            f"{key} {record.get(key)!r}, not {own[key]!r}" for key in own if record.get(key) != own[key]
        ]:
            raise ValueError(
                f"{uri} is of other embeddings: {'; '.join(differences)}. Accepted are the same model, data set "
                f"(--version {record.get('dataset_version')}) and options, or another --output"
            )
