"""What an evaluation asks of whom: looked up and found to be answerable before any video is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform.embedded_dataset import embedded_dataset
from rspnet_platform.home import default_home
from rspnet_platform.inference.embedding_clips import input_for
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.frozen_evaluation_config import FrozenEvaluationConfig
from rspnet_platform.inference.frozen_evaluation_passes import FeatureKind
from rspnet_platform.inference.frozen_evaluation_scores import check_labels, feature_kind
from rspnet_platform.inference.model_reference import LoadedModel, load_model
from rspnet_platform.inference.retrieval_evaluation import RANDOM_PREFIX, TRAINED, LabelledVideos
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.frame_readers import frame_reader
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

    @property
    def kinds(self) -> list[FeatureKind]:
        """Of features that the protocols look at, each once."""
        return list(dict.fromkeys(feature_kind(protocol) for protocol in self.config.protocols.values()))


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
        if weights_sha256(encoder.state_dict()) != model.sha256:
            encoders[f"{RANDOM_PREFIX}{seed}"] = encoder
        seed += 1
    return encoders
