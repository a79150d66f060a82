"""Features of a data set from a model and from the same encoder randomly initialised, for pictures of them."""

from dataclasses import dataclass, replace

import numpy as np

from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS, RetrievalProtocol
from rspnet_platform import runtime, storage
from rspnet_platform.home import default_home
from rspnet_platform.inference.dataset_features import DatasetFeatures, embed_dataset
from rspnet_platform.inference.embedding_clips import input_for
from rspnet_platform.inference.model_reference import load_model
from rspnet_platform.inference.retrieval_evaluation import RANDOM_PREFIX, TRAINED, encoders_beside_random
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.tracking.tracking_config import TrackingConfig, resolve_tracking_uri
from rspnet_platform.visualise.part_configs import CPUS_PER_DECODE_TASK

NUM_RANDOM_ENCODERS = 3
SHOWN_ENCODERS = {"this model": TRAINED, "random initialisation": f"{RANDOM_PREFIX}0"}
"""By the headings of their pictures."""


@dataclass(frozen=True, kw_only=True)
class FrozenFeatures:
    """`features` has the model's under `TRAINED` and those of random initialisations under `random_0`, ...; `model` is
    its name, without secrets; `stamp` says how they were made."""

    features: DatasetFeatures
    model: str
    protocol: RetrievalProtocol
    stamp: str
    num_damaged: int


def frozen_features(
    dataset: ShardedDataset,
    video_indices: np.ndarray,
    *,
    model: str,
    protocol: str,
    tracking: TrackingConfig,
    decoder: Decoder | None,
    output: str,
    num_random_encoders: int = NUM_RANDOM_ENCODERS,
) -> FrozenFeatures:
    """Starts Ray, and ends it. Damaged videos are left out, and listed below `output`.

    Raises ValueError for a model that cannot be loaded, and for a data set of another short side than its own.
    """
    loaded = load_model(model, resolve_tracking_uri(tracking, default_home()))
    chosen = RETRIEVAL_PROTOCOLS[protocol]
    card_input = input_for(loaded.card, dataset.description, num_clips=chosen.num_clips)
    encoder_input = replace(card_input, pooling=chosen.pooling)
    damage = DamageLedger(uri=storage.join(output, "damaged_videos"))
    runtime.connect()
    try:
        features = embed_dataset(
            dataset,
            video_indices,
            encoders_beside_random(loaded.encoder, loaded.card.encoder, num_random_encoders),
            encoder_input,
            damage=damage,
            cpus_per_decode_task=CPUS_PER_DECODE_TASK,
            use_gpu=runtime.cluster_resources()[1] > 0,
            decoder=decoder,
        )
    finally:
        runtime.disconnect()
    return FrozenFeatures(
        features=features,
        model=loaded.reference,
        protocol=chosen,
        stamp=f"{chosen.name}: {chosen.stamp}; frame stride {encoder_input.frame_stride}",
        num_damaged=len(video_indices) - len(features.video_indices),
    )
