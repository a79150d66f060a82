"""An encoder with its card, outside of the registry: in files, at random, at work on videos."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.inference.video_embedder import VideoEmbedder
from rspnet_platform.tracking.model_source import load_encoder

from tests.small_encoder import CARD


def test_encoder_from_files(tmp_path: Path) -> None:
    """A safetensors file loads with the card beside it; without it, or with other weights, it is refused."""
    weights_path, card_path = save_encoder(tmp_path / "model", build_seeded("tiny", 3), CARD)
    encoder, card = load_encoder(str(weights_path), "sqlite:///unused.db")
    assert card == CARD
    torch.testing.assert_close(encoder.state_dict(), build_seeded("tiny", 3).state_dict(), rtol=0, atol=0)
    card_path.write_text(json.dumps(CARD.to_json_dict() | {"encoder": "r3d_18", "feature_dim": 512}))
    with pytest.raises(ValueError, match="does not fit encoder 'r3d_18'"):
        load_encoder(str(weights_path), "sqlite:///unused.db")
    card_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"encoder\.json"):
        load_encoder(str(weights_path), "sqlite:///unused.db")


def test_random_encoder_is_its_seed() -> None:
    """`random:tiny` is the same for one seed, differs for another, and leaves torch's generator alone."""
    state = torch.get_rng_state()
    first, card = load_encoder("random:tiny", "")
    again, _ = load_encoder("random:tiny", "")
    other, _ = load_encoder("random:tiny", "", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    weights = [next(encoder.parameters()) for encoder in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert (card.encoder, card.feature_dim, card.method) == ("tiny", 128, "random")


def test_card_survives_json_and_refuses_what_it_does_not_know() -> None:
    """A card goes through JSON unchanged; another version, key or value is an error."""
    content = json.loads(json.dumps(CARD.to_json_dict()))
    assert EncoderCard.from_json_dict(content) == CARD
    for change, message in (
        ({"schema_version": 3}, "schema_version 3"),
        ({"colour": 1}, "colour"),
        ({"input": {"crop_size": 32}}, "encoder card's input has"),
        ({"encoder": "huge"}, "encoder is 'huge'"),
        ({"input": content["input"] | {"pooling": "max"}}, "pooling is 'max'"),
        ({"input": content["input"] | {"crop_size": 31}}, "crop_size is 31"),
    ):
        with pytest.raises(ValueError, match=message):
            EncoderCard.from_json_dict(content | change)


def test_embedding_is_of_the_video_alone(videos: list[Path]) -> None:
    """Order, company and path or bytes change nothing; the encoder's mode and statistics stay."""
    encoder = build_seeded("tiny", 3)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    embedder = VideoEmbedder(encoder, CARD)
    both = embedder.embed(videos)
    assert (both.shape, both.dtype) == ((2, 128), np.float32)
    np.testing.assert_array_equal(embedder.embed([videos[1].read_bytes(), str(videos[0])]), both[::-1])
    assert encoder.training
    torch.testing.assert_close(encoder.state_dict(), before, rtol=0, atol=0)
    assert embedder.embed([]).shape == (0, 128)


def test_long_video_decoded_twice_is_the_same(videos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A video that is too long to keep in memory gives the same embedding."""
    embedder = VideoEmbedder(build_seeded("tiny", 3), CARD)
    expected = embedder.embed(videos)
    monkeypatch.setattr("rspnet_platform.inference.video_embedder.MAX_FRAMES_IN_MEMORY", 3)
    np.testing.assert_array_equal(embedder.embed(videos), expected)


def test_video_that_cannot_be_embedded_is_named(videos: list[Path], tmp_path: Path) -> None:
    """Damaged, missing and too short videos are errors with their place in the list."""
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    embedder = VideoEmbedder(build_seeded("tiny", 3), CARD)
    with pytest.raises(ValueError, match=r"video 1, '.*broken\.mp4', cannot be embedded: unreadable"):
        embedder.embed([videos[0], tmp_path / "broken.mp4"])
    with pytest.raises(ValueError, match="video 0, of 11 bytes, cannot be embedded"):
        embedder.embed([b"not a video"])
    with pytest.raises(FileNotFoundError, match=r"video 0, '.*missing\.mp4', does not exist"):
        embedder.embed([tmp_path / "missing.mp4"])
    strict = replace(CARD, input=replace(CARD.input, past_the_end="reject", frame_stride=8))
    with pytest.raises(ValueError, match="cannot be embedded: a clip of 4 frames at stride 8"):
        VideoEmbedder(build_seeded("tiny", 3), strict).embed([videos[0]])
    with pytest.raises(ValueError, match="feature_dim 64"):
        VideoEmbedder(build_seeded("tiny", 3), replace(CARD, feature_dim=64))
