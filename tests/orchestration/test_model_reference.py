"""One name for a model: what each form loads, and what it refuses."""

import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.inference.model_reference import LoadedModel, load_model
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.publishing import encoder_input
from rspnet_platform.run import Run
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking import promotion, registry, runs
from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST, COPY
from rspnet_platform.train.checkpoints import checkpoint_config, latest_checkpoint
from rspnet_platform.train.training_state import build_task

from jobs.recipes import RECIPES
from rspnet_core.encoders.published_keys import to_published
from tests.small_encoder import CARD

NO_REGISTRY = "sqlite:///nothing-is-asked-of-it.db"
TINY_RECIPES = [name for name in RECIPES if name.startswith("tiny")]
Weights = Mapping[str, torch.Tensor]


def load(reference: object) -> LoadedModel:
    return load_model(str(reference), NO_REGISTRY)


def tiny_config(dataset: ShardedDataset, recipe: str = "tiny_cpu") -> PretrainConfig:
    config = RECIPES[recipe]()
    return replace(config, data=replace(config.data, shards=dataset.uri, version=1))


def save_checkpoint(folder: Path, config: PretrainConfig, seed: int) -> Weights:
    """As a run's rank 0 writes it, every tensor of the task drawn anew. Returns the weights of the task's encoder."""
    task = build_task(config)
    generator = torch.Generator().manual_seed(seed)
    for tensor in task.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator))
    folder.mkdir(parents=True)
    torch.save({"task": task.state_dict(), "optimizer": {"state": {}}}, folder / "state.pt")
    (folder / "config.json").write_text(json.dumps(checkpoint_config(config)))
    (folder / "data.json").write_text("{}")
    return task.encoder.state_dict()


def write_list(path: Path, *names: str) -> None:
    """As Ray Train does, the newest last."""
    results = [
        {"version": 0, "checkpoint_dir_name": name, "metrics": {"step": step}} for step, name in enumerate(names)
    ]
    content = {
        "ray_version": ray.__version__,
        "checkpoint_results": results,
        "checkpoint_report_indices": list(range(len(names))),
        "latest_checkpoint_result": results[-1] if results else None,
        "pending_training_results": [],
        "pending_validation_specs": [],
        "current_report_index": len(names),
        "validated_checkpoint_dir_names": [],
        "timed_out_validation_checkpoint_dir_names": [],
        "failed_validation_checkpoint_dir_names": [],
    }
    path.write_text(json.dumps(content))


def assert_same(weights: Weights, expected: Weights) -> None:
    torch.testing.assert_close(dict(weights), dict(expected), rtol=0, atol=0)


@pytest.mark.parametrize("recipe", TINY_RECIPES)
def test_a_checkpoint_has_its_method_s_encoder(recipe: str, small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """Of a momentum method that of the queries, not of the keys; under the card that the run's end would register."""
    config = tiny_config(small_dataset, recipe)
    weights = save_checkpoint(tmp_path / "checkpoint", config, seed=1)
    model = load(tmp_path / "checkpoint")
    assert_same(model.encoder.state_dict(), weights)
    assert model.encoder.training
    run = Run(config=config, name="", uri="", tracking_uri="", dataset=small_dataset)
    assert (model.card.input, model.card.method) == (encoder_input(run), config.task.task_name)
    assert model.card.input.num_frames_per_clip == config.task.clips.num_frames_per_clip
    assert (model.card.encoder, model.card.feature_dim, model.card.input.short_side) == ("tiny", 128, 64)


def test_a_run_is_its_newest_complete_checkpoint(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """Neither an older one nor one that is still on its way, and as Ray's own reader has it."""
    config, run = tiny_config(small_dataset), tmp_path / "run"
    weights = {name: save_checkpoint(run / name, config, seed) for seed, name in enumerate(("old", "new", "unlisted"))}
    write_list(run / CHECKPOINT_LIST, "old", "new")
    assert_same(load(run).encoder.state_dict(), weights["new"])
    assert load(f"file://{run}/").sha256 == load(run / "new").sha256 != load(run / "old").sha256
    newest = latest_checkpoint(str(run))
    assert newest is not None
    assert newest.path == str(run / "new")


def test_a_list_torn_by_the_run_is_read_from_its_copy(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """A run that goes on overwrites its list in place; nothing of it is changed by reading."""
    run = tmp_path / "run"
    weights = save_checkpoint(run / "old", tiny_config(small_dataset), seed=0)
    write_list(run / COPY, "old")
    (run / CHECKPOINT_LIST).write_text('{"checkpoint_res')
    assert_same(load(run).encoder.state_dict(), weights)
    assert (run / CHECKPOINT_LIST).read_text() == '{"checkpoint_res'


def test_a_run_in_an_object_store(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """Its files are fetched; fsspec's store in memory stands where s3:// would."""
    import fsspec

    run = tmp_path / "run"
    weights = save_checkpoint(run / "new", tiny_config(small_dataset), seed=0)
    write_list(run / CHECKPOINT_LIST, "new")
    (run / "run.json").write_text("{}")
    store = fsspec.filesystem("memory")
    store.put(str(run), "/bucket/run", recursive=True)
    try:
        assert_same(load("memory://bucket/run").encoder.state_dict(), weights)
        assert_same(load("memory://bucket/run/new/").encoder.state_dict(), weights)
    finally:
        store.rm("/bucket", recursive=True)


def test_what_is_wrong_with_a_run_is_said(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """A folder of something else, a run without a checkpoint, a checkpoint cut off, one whose data set is gone."""
    config, run = tiny_config(small_dataset), tmp_path / "run"
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match="photos is neither a run's folder"):
        load(tmp_path / "photos")
    save_checkpoint(run / "new", config, seed=0)
    (run / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="has no complete checkpoint yet"):
        load(run)
    state = (run / "new" / "state.pt").read_bytes()
    (run / "new" / "state.pt").write_bytes(state[: len(state) // 2])
    with pytest.raises(ValueError, match=r"state\.pt is not a file of tensors"):
        load(run / "new")
    (run / "new" / "state.pt").unlink()
    with pytest.raises(ValueError, match=r"run/new is not complete.*state\.pt"):
        load(run / "new")
    gone = replace(config, data=replace(config.data, shards=str(tmp_path / "gone")))
    save_checkpoint(tmp_path / "other", gone, seed=0)
    with pytest.raises(ValueError, match="gone is not a data set"):
        load(tmp_path / "other")


def test_a_checkpoint_of_another_shape_is_refused(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """Its config names an encoder that its tensors are not of."""
    save_checkpoint(tmp_path / "checkpoint", tiny_config(small_dataset), seed=0)
    path = tmp_path / "checkpoint" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task.encoder": "r3d_10"}))
    with pytest.raises(ValueError, match=r"checkpoint does not fit encoder 'r3d_10': \d+ tensors differ"):
        load(tmp_path / "checkpoint")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_registered_model(empty_database: Path, tmp_path: Path) -> None:
    """By version and by alias, with the card that it was registered under."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = runs.start_run(uri, "videos", "first", {}, {})
    encoder = build_seeded("tiny", 3)
    registry.register_encoder(uri, run_id, "rspnet", encoder, CARD, {}, {})
    promotion.set_alias(uri, "rspnet", "1", "champion")
    for reference in ("models:/rspnet/1", "models:/rspnet@champion"):
        model = load_model(reference, uri)
        assert (model.card, model.sha256, model.reference) == (CARD, weights_sha256(encoder.state_dict()), reference)


def test_encoder_from_files(tmp_path: Path) -> None:
    """A safetensors file loads with the card beside it; without it, or with other weights, it is refused."""
    weights_path, card_path = save_encoder(tmp_path / "model", build_seeded("tiny", 3), CARD)
    model = load(weights_path)
    assert model.card == CARD
    assert_same(model.encoder.state_dict(), build_seeded("tiny", 3).state_dict())
    card = json.loads(card_path.read_text())
    card_path.write_text(json.dumps(card | {"encoder": "r3d_10", "feature_dim": 512}))
    with pytest.raises(ValueError, match="does not fit encoder 'r3d_10'"):
        load(weights_path)
    card_path.write_text(json.dumps(card | {"feature_dim": 64}))
    with pytest.raises(ValueError, match="feature_dim 64, and encoder 'tiny' has 128"):
        load(weights_path)
    card_path.unlink()
    with pytest.raises(ValueError, match=r"encoder\.json does not exist"):
        load(weights_path)


@pytest.mark.parametrize(
    ("name", "prefix", "wrapped", "colours"),
    [
        ("r3d_10", "base_network.", None, "imagenet"),
        ("r3d_10", "base_network.", "model", "imagenet"),
        ("r3d_10", "", "state_dict", "imagenet"),
        ("slow_r50", "backbone.", "model_state", "slowfast"),
    ],
)
def test_published_checkpoint(name: str, prefix: str, wrapped: str | None, colours: Any, tmp_path: Path) -> None:
    """Under the repositories' own names, alone in the file or with what else they put there."""
    expected = build_seeded(name, 5).state_dict()
    content: Any = to_published(name, expected, prefix=prefix)
    torch.save({wrapped: content, "epoch": 3} if wrapped else content, tmp_path / "model.pth.tar")
    model = load(f"published:{name}:{tmp_path}/model.pth.tar")
    assert_same(model.encoder.state_dict(), expected)
    assert model.card.method == "published"
    assert model.card.input == EncoderInput(normalisation=colours)


class Payload:
    """Runs code where somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Neither of a file in PyTorch's format nor of a bare pickle; the message does not advise to."""
    torch.save({"model": Payload(tmp_path / "run")}, tmp_path / "torch.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(tmp_path / "run")))
    for name in ("torch.pth", "bare.pth"):
        with pytest.raises(ValueError, match="tensors and plain values alone") as caught:
            load(f"published:r3d_10:{tmp_path}/{name}")
        assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_random_encoder_is_its_seed() -> None:
    """`random:tiny` is seed 0, another seed differs, and torch's generator stays as it was."""
    state = torch.get_rng_state()
    first, again, other = load("random:tiny"), load("random:tiny:0"), load("random:tiny:1")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.sha256 == again.sha256 != other.sha256
    assert_same(other.encoder.state_dict(), build_seeded("tiny", 1).state_dict())
    assert (first.card.encoder, first.card.feature_dim, first.card.method) == ("tiny", 128, "random")


def test_the_hash_is_of_names_shapes_and_values() -> None:
    """One bit of one value changes it, as another shape of the same bytes does."""
    encoder = build_seeded("tiny", 0)
    before = weights_sha256(encoder.state_dict())
    weight: Any = next(encoder.parameters())
    flat = weight.data.flatten()
    flat[0] = torch.nextafter(flat[0], torch.tensor(9.0))
    weight.data = flat.view_as(weight)
    changed = weights_sha256(encoder.state_dict())
    weight.data = weight.data.transpose(0, 1).reshape(weight.shape[1], weight.shape[0], *weight.shape[2:])
    assert len({before, changed, weights_sha256(encoder.state_dict())}) == 3
    assert before == weights_sha256(build_seeded("tiny", 0).state_dict())


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "no such folder is there; accepted are models:/NAME@ALIAS"),
        ("r3d_18", "model is 'r3d_18', and no such folder is there"),
        ("memory://bucket/nothing", "no such folder is there"),
        ("weights.pth", "accepted are, for such a file, published:ENCODER:FILE"),
        ("random:huge", "encoder is 'huge'; accepted are c3d"),
        ("random:tiny:first", "accepted are random:tiny and random:tiny:SEED"),
        ("random:tiny:1:2", "accepted are random:tiny and random:tiny:SEED"),
        ("published:r3d_18", "accepted is published:ENCODER:FILE"),
        ("published:huge:weights.pth", "encoder is 'huge'; accepted are c3d"),
        ("published:r3d_18:nothing.pth", r"nothing\.pth does not exist"),
        ("nothing/encoder.safetensors", r"encoder\.safetensors does not exist"),
    ],
)
def test_unknown_references_are_refused(reference: str, message: str, tmp_path: Path, monkeypatch) -> None:
    """One error that names the value and what would be accepted."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(reference)


def test_secrets_are_not_kept(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """In what a model says of itself, and in errors."""
    with pytest.raises(ValueError, match=r"memory://user:\*\*\*@bucket"):
        load("memory://user:password@bucket/nothing")
    save_checkpoint(tmp_path / "a?token=abc", tiny_config(small_dataset), seed=0)
    assert load(tmp_path / "a?token=abc").reference.endswith("a?token=***")
