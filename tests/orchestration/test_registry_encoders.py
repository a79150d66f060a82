"""An encoder with its card, outside of the registry: the card's JSON, and at work on videos."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.video_embedder import VideoEmbedder

from tests.small_encoder import CARD


def test_card_survives_json_and_refuses_what_it_does_not_know() -> None:
    """A card goes through JSON unchanged; another version, key or value is an error."""
    content = json.loads(json.dumps(CARD.to_json_dict()))
    assert EncoderCard.from_json_dict(content) == CARD
    for change, message in (
        ({"schema_version": 4}, "schema_version 4; accepted are 1, 2 and 3"),
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
    with pytest.raises(ValueError, match=r"video 1, '.*broken\.mp4', cannot be read: unreadable"):
        embedder.embed([videos[0], tmp_path / "broken.mp4"])
    with pytest.raises(ValueError, match="video 0, of 11 bytes, cannot be read"):
        embedder.embed([b"not a video"])
    with pytest.raises(FileNotFoundError, match=r"video 0, '.*missing\.mp4', does not exist"):
        embedder.embed([tmp_path / "missing.mp4"])
    strict = replace(CARD, input=replace(CARD.input, past_the_end="reject", frame_stride=8))
    with pytest.raises(ValueError, match="cannot be read: a clip of 4 frames at stride 8"):
        VideoEmbedder(build_seeded("tiny", 3), strict).embed([videos[0]])
    with pytest.raises(ValueError, match="feature_dim 64"):
        VideoEmbedder(build_seeded("tiny", 3), replace(CARD, feature_dim=64))
