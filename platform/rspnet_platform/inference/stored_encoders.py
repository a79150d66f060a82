"""Encoders out of files: a run's checkpoint, our own safetensors, a published checkpoint. Nothing is unpickled."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rspnet_core.encoders import check_encoder_name
from rspnet_core.encoders.published_keys import from_published
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import storage
from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput
from rspnet_platform.inference.encoder_files import CARD_NAME, build_seeded, load_weights, read_card, read_encoder
from rspnet_platform.inference.encoder_input_of_run import encoder_input_of_run, value_of
from rspnet_platform.shards.dataset import read_description
from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.tracking.redaction import redact

LoadedParts = tuple[VideoEncoder, EncoderCard]
ENCODER_PREFIX = "encoder."
PARTS_OF_PUBLISHED_FILES = ("model", "state_dict", "model_state")
SLOWFAST_COLOURS = ("slow_r50", "mvit_v1_b", "mvit_v2_s")
"""Trained on colours normalised as SlowFast's code does; the other published ones on ImageNet's, or close to it."""
NUMPY_NUMBERS: list[Any] = [
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float32", "float64")),
]
"""A loss or an accuracy that other code kept beside its tensors: they run nothing where they are read."""


def encoder_of_run(reference: str) -> LoadedParts:
    """The encoder in a checkpoint's folder, or in the newest complete checkpoint of a run's folder.

    Of a momentum method it is the query encoder. The card is the one that the run's end would register: its short side
    is read from the run's data set. ValueError for a folder that is neither, for a run without a checkpoint yet, and
    for a data set that is gone.
    """
    from rspnet_platform.train.checkpoint_checksums import check_file, checksums_in
    from rspnet_platform.train.checkpoints import CONFIG, TENSORS

    uri = checkpoint_uri(storage.resolve_uri(reference))
    try:
        config = storage.read_json(storage.join(uri, CONFIG))
        name = value_of(config, "task.encoder")
        encoder_input = encoder_input_of_run(config, short_side_of(config))
        with local_copy(storage.join(uri, TENSORS)) as path:
            check_file(path, TENSORS, checksums_in(uri), uri)
            task = read_tensors(path).get("task", {})
            weights = {key.removeprefix(ENCODER_PREFIX): task[key] for key in task if key.startswith(ENCODER_PREFIX)}
            encoder = build_seeded(name, seed=0)
            load_weights(encoder, weights, f"the checkpoint {redact(uri)}", name)
    except FileNotFoundError as error:
        raise ValueError(f"the checkpoint {redact(uri)} is not complete: {error}") from error
    return encoder, EncoderCard(
        encoder=name,
        feature_dim=encoder.feature_dim,
        input=encoder_input,
        method=config.get("task.task_name", f"recipe {config.get('recipe')}"),
    )


def short_side_of(config: Mapping[str, Any]) -> int:
    """Of the data set that a run was trained on. ValueError where that is gone."""
    try:
        return read_description(value_of(config, "data.shards"), config.get("data.version")).short_side
    except ValueError as error:
        raise ValueError(
            f"the short side of the videos that the encoder was trained on is not known: {error}. Accepted is the "
            "run's data set at its place, or the run's registered model"
        ) from error


def checkpoint_uri(uri: str) -> str:
    """A checkpoint's folder stays as it is; a run's becomes that of its newest complete checkpoint."""
    from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST, newest_checkpoint_uri
    from rspnet_platform.train.checkpoints import CONFIG, TENSORS
    from rspnet_platform.train.run_record import RECORD

    names = storage.list_names(uri)
    if {TENSORS, CONFIG} & set(names):
        return uri
    if not {CHECKPOINT_LIST, RECORD} & set(names):
        raise ValueError(f"{redact(uri)} is neither a run's folder ({RECORD}) nor a checkpoint ({TENSORS}, {CONFIG})")
    newest = newest_checkpoint_uri(uri)
    if newest is None:
        raise ValueError(f"the run {redact(uri)} has no complete checkpoint yet; accepted is a run that has")
    return newest


def encoder_from_files(reference: str) -> LoadedParts:
    """A safetensors file with `encoder.json` beside it. ValueError where one is missing or they do not fit."""
    weights_uri = storage.resolve_uri(reference)
    card_uri = storage.join(weights_uri.rsplit("/", 1)[0], CARD_NAME)
    try:
        with local_copy(weights_uri) as weights, local_copy(card_uri) as card_path:
            card = read_card(card_path)
            return read_encoder(weights, card), card
    except FileNotFoundError as error:
        raise ValueError(f"model is {redact(reference)!r}: {error}; it needs {CARD_NAME} beside it") from error


def published_encoder(reference: str) -> LoadedParts:
    """`published:ENCODER:FILE`. How the method shows videos to its encoder is not in such a file: the card has the
    defaults, clips of 16 frames of 112 x 112, with the colours that the encoder is known to be trained on."""
    name, _, file = reference.removeprefix("published:").partition(":")
    if not file:
        raise ValueError(f"model is {redact(reference)!r}; accepted is published:ENCODER:FILE")
    check_encoder_name(name)
    try:
        with local_copy(storage.resolve_uri(file)) as path:
            content = read_tensors(path)
    except FileNotFoundError as error:
        raise ValueError(f"model is {redact(reference)!r}: {error}") from error
    part = next((content[key] for key in PARTS_OF_PUBLISHED_FILES if isinstance(content.get(key), Mapping)), content)
    try:
        weights = from_published(name, part)
    except ValueError as error:
        raise ValueError(f"{redact(file)}: {error}") from error
    encoder = build_seeded(name, seed=0)
    encoder.load_state_dict(weights)
    colours = "slowfast" if name in SLOWFAST_COLOURS else "imagenet"
    card_input = EncoderInput(normalisation=colours)
    return encoder, EncoderCard(encoder=name, feature_dim=encoder.feature_dim, input=card_input, method="published")


def read_tensors(path: Path) -> Mapping[str, Any]:
    """Tensors and plain values of a file that `torch.save` wrote. ValueError for anything else: what would have to be
    unpickled is not."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(NUMPY_NUMBERS):
            warnings.simplefilter("ignore")  # of pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever its reader makes of foreign bytes
        # PyTorch's own message advises to unpickle it all the same.
        raise ValueError(
            f"{path} is not a file of tensors and plain values alone, or it is damaged ({type(error).__name__}); "
            "accepted are those, as torch.save writes them"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; accepted is a mapping of names to tensors")
    return content


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """The file itself, or a copy of one in an object store, for as long as the block lasts."""
    if not storage.is_remote(uri):
        if not Path(uri).is_file():
            raise FileNotFoundError(f"{uri} does not exist")
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        path = Path(folder) / uri.rsplit("/", 1)[1]
        storage.download_file(uri, str(path))
        yield path
