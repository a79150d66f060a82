"""MODEL, as every job takes it: from the registry, from files, or freshly initialised."""

from pathlib import Path
from typing import TYPE_CHECKING

from rspnet_core.encoders import check_encoder_name
from rspnet_platform.inference.encoder_card import EncoderCard

if TYPE_CHECKING:
    from rspnet_core.encoders.video_encoder import VideoEncoder

_ACCEPTED = "models:/NAME@ALIAS, models:/NAME/VERSION, random:ENCODER, a .safetensors file with encoder.json"


def load_encoder(model: str, tracking_uri: str, *, seed: int = 0) -> tuple["VideoEncoder", EncoderCard]:
    """The encoder in training mode on the CPU, with its card; `seed` is for `random:ENCODER` alone.

    Raises ValueError for a MODEL of no known form or one that does not exist, FileNotFoundError for a file
    without its card, and ConnectionError if the registry does not answer.
    """
    if model.startswith("models:"):
        from rspnet_platform.tracking.registry import pull_encoder

        return pull_encoder(model, tracking_uri)
    if model.startswith("random:"):
        return _random_encoder(model.removeprefix("random:"), seed)
    if model.endswith(".safetensors"):
        return _encoder_from_files(Path(model).expanduser())
    raise ValueError(f"model is {model!r}; accepted are {_ACCEPTED}")


def _random_encoder(name: str, seed: int) -> tuple["VideoEncoder", EncoderCard]:
    check_encoder_name(name)
    from rspnet_platform.inference.encoder_files import build_seeded

    encoder = build_seeded(name, seed)
    return encoder, EncoderCard(encoder=name, feature_dim=encoder.feature_dim)


def _encoder_from_files(weights_path: Path) -> tuple["VideoEncoder", EncoderCard]:
    from rspnet_platform.inference.encoder_files import CARD_NAME, read_card, read_encoder

    card_path = weights_path.with_name(CARD_NAME)
    for path, role in ((weights_path, "model"), (card_path, "the model's card")):
        if not path.is_file():
            raise FileNotFoundError(f"{role} {path} does not exist; a weights file needs {CARD_NAME} beside it")
    card = read_card(card_path)
    return read_encoder(weights_path, card), card
