"""An encoder on disk: `encoder.safetensors` beside its card `encoder.json`; no pickle."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.weights_checksum import check_weights, weights_sha256

WEIGHTS_NAME = "encoder.safetensors"
CARD_NAME = "encoder.json"


def save_encoder(folder: Path, encoder: VideoEncoder, card: EncoderCard) -> tuple[Path, Path]:
    """Writes weights and card, with the weights' SHA-256, into a folder, which is made, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    weights_path, card_path = folder / WEIGHTS_NAME, folder / CARD_NAME
    # clone(): safetensors refuses tensors that share memory.
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, weights_path)
    card = replace(card, weights_sha256=weights_sha256(weights))
    card_path.write_text(json.dumps(card.to_json_dict(), indent=2) + "\n")
    return weights_path, card_path


def read_card(path: Path) -> EncoderCard:
    """Raises FileNotFoundError without a card, and ValueError that names the file for one that is refused."""
    try:
        return EncoderCard.from_json_dict(json.loads(path.read_text()))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_encoder(weights_path: Path, card: EncoderCard) -> VideoEncoder:
    """The card's encoder with these weights, on the CPU, in training mode. ValueError where they do not fit, or are not
    those that the card was saved with."""
    encoder = build_seeded(card.encoder, seed=0)
    try:
        weights = load_file(weights_path)
    except SafetensorError as error:
        raise ValueError(f"{weights_path} is not a safetensors file: {error}") from error
    load_weights(encoder, weights, str(weights_path), card.encoder)
    check_weights(weights, card.weights_sha256, str(weights_path))
    return encoder


def load_weights(encoder: VideoEncoder, weights: Mapping[str, Tensor], place: str, encoder_name: str) -> None:
    """Into an encoder as it was built. Raises ValueError that names the place, for other names or shapes."""
    expected = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if different := sorted(name for name in expected | found if expected.get(name) != found.get(name)):
        name = different[0]
        raise ValueError(
            f"{place} does not fit encoder {encoder_name!r}: {len(different)} tensors differ; "
            f"{name!r} has shape {found.get(name, 'none')}, accepted is {expected.get(name, 'none')}"
        )
    encoder.load_state_dict(weights)


def build_seeded(name: str, seed: int) -> VideoEncoder:
    """A fresh encoder that the seed alone decides; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(name)
