"""One name for a model, the same in every job: where its encoder is, and what it becomes when it is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rspnet_core.encoders import check_encoder_name
from rspnet_platform import storage
from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.tracking.redaction import redact

if TYPE_CHECKING:
    from rspnet_core.encoders.video_encoder import VideoEncoder

ACCEPTED_REFERENCES = (
    "models:/NAME@ALIAS or models:/NAME/VERSION (the registry), a run's folder or one of its checkpoints, "
    "an encoder.safetensors with encoder.json beside it, published:ENCODER:FILE, random:ENCODER or random:ENCODER:SEED"
)

MODEL_REFERENCE_HELP = (
    f"The model: {ACCEPTED_REFERENCES}. Folders and files are local or in an object store (s3://, gs://). Of a run's "
    "folder the newest checkpoint is taken; of a momentum method the query encoder. A published file is a checkpoint "
    "of the method's own repository (.pth, .pt, .pth.tar), whose names are converted; it is read without unpickling."
)

LoadedParts = tuple["VideoEncoder", EncoderCard]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """`encoder` is on the CPU in training mode; `reference` is as it was given, without secrets; `sha256` is that of
    the weights, so that what is kept of a model knows whose it is."""

    encoder: "VideoEncoder"
    card: EncoderCard
    reference: str
    sha256: str


def load_model(reference: str, tracking_uri: str) -> LoadedModel:
    """Loads the encoder that `reference` names; `tracking_uri` is asked for references to the registry alone.

    Raises ValueError for a reference of no known form, for what does not exist and for weights that do not fit,
    StorageError where a store fails, and ConnectionError where the registry does not answer. Never unpickles.
    """
    encoder, card = _loader(reference, tracking_uri)(reference)
    if encoder.feature_dim != card.feature_dim:
        raise ValueError(
            f"model is {redact(reference)!r}: its card has feature_dim {card.feature_dim}, "
            f"and encoder {card.encoder!r} has {encoder.feature_dim}"
        )
    encoder.train()
    return LoadedModel(
        encoder=encoder, card=card, reference=redact(reference), sha256=weights_sha256(encoder.state_dict())
    )


def _loader(reference: str, tracking_uri: str) -> Callable[[str], LoadedParts]:
    if reference.startswith("models:"):
        from rspnet_platform.tracking.registry import pull_encoder

        return lambda uri: pull_encoder(uri, tracking_uri)
    if reference.startswith("random:"):
        return random_encoder
    # PyTorch's file formats: only these forms need it.
    from rspnet_platform.inference import stored_encoders

    if reference.startswith("published:"):
        return stored_encoders.published_encoder
    if reference.endswith(".safetensors"):
        return stored_encoders.encoder_from_files
    if reference.endswith((".pth", ".pt", ".tar")):
        raise ValueError(f"model is {redact(reference)!r}; accepted are, for such a file, published:ENCODER:FILE")
    if reference and storage.is_folder(storage.resolve_uri(reference)):
        return stored_encoders.encoder_of_run
    raise ValueError(f"model is {redact(reference)!r}, and no such folder is there; accepted are {ACCEPTED_REFERENCES}")


def random_encoder(reference: str) -> LoadedParts:
    """`random:ENCODER`, of seed 0, or `random:ENCODER:SEED`."""
    name, *seeds = reference.split(":")[1:]
    check_encoder_name(name)
    if len(seeds) > 1 or not all(seed.isdecimal() for seed in seeds):
        raise ValueError(f"model is {reference!r}; accepted are random:{name} and random:{name}:SEED, from 0 on")
    from rspnet_platform.inference.encoder_files import build_seeded

    encoder = build_seeded(name, seed=int(seeds[0]) if seeds else 0)
    return encoder, EncoderCard(encoder=name, feature_dim=encoder.feature_dim)
