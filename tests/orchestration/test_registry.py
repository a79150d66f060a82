"""An encoder's way into the registry and out again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.inference.model_reference import load_model
from rspnet_platform.inference.video_embedder import VideoEmbedder
from rspnet_platform.inference.weights_checksum import weights_sha256
from rspnet_platform.tracking import promotion, pyfunc_package, registry, runs
from rspnet_platform.tracking.client import tracking_client

from tests.small_encoder import CARD
from tests.third_party_imports import third_party_imports

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

GATE = "validation/retrieval_top1"


@pytest.fixture
def tracking_uri(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store that is not the process's default one; nothing may be written where the process stands."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield f"sqlite:///{tmp_path}/mlflow.db"
    assert list((tmp_path / "here").iterdir()) == []


def register(uri: str, *, top1: float = 0.5, dataset: str = "abc") -> registry.RegisteredModel:
    run_id = runs.start_run(uri, "videos", "first", {"seed": 0}, {})
    tags = {"recipe": "tiny_cpu", "dataset_sha256": dataset, "code_commit": "0" * 40}
    return registry.register_encoder(uri, run_id, "rspnet", build_seeded("tiny", 3), CARD, {GATE: top1}, tags)


def test_pulled_encoder_is_the_registered_one(tracking_uri: str) -> None:
    """Weights and card come back as they went in, ready to fine-tune; MLflow's global state stays."""
    import mlflow

    before = (mlflow.get_tracking_uri(), mlflow.active_run())
    model = register(tracking_uri)
    encoder, card = registry.pull_encoder(model.model_uri, tracking_uri)
    assert (mlflow.get_tracking_uri(), mlflow.active_run()) == before
    assert card == CARD
    assert encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    torch.testing.assert_close(encoder.state_dict(), build_seeded("tiny", 3).state_dict(), rtol=0, atol=0)


def test_version_says_where_it_comes_from(tracking_uri: str) -> None:
    """Method, recipe, data, code and metrics with protocol are tags of the version, which has a run."""
    model = register(tracking_uri)
    client = tracking_client(tracking_uri)
    version = client.get_model_version("rspnet", model.version)
    assert version.tags == {
        "method": "rspnet",
        "protocol": "rspnet_paper",
        "recipe": "tiny_cpu",
        "dataset_sha256": "abc",
        "code_commit": "0" * 40,
        "weights_sha256": weights_sha256(build_seeded("tiny", 3).state_dict()),
        f"metric.{GATE}": "0.5",
    }
    assert version.run_id is not None
    run = client.get_run(version.run_id)
    assert run.outputs is not None
    assert len(run.outputs.model_outputs) == 1
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_run_registers_its_weights_once(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an attempt came to before it was killed: the next one finds its version, or deletes what it had stored.
    Other weights of the run are another version."""
    run_id = runs.start_run(tracking_uri, "videos", "first", {}, {})
    client = tracking_client(tracking_uri)
    experiment_id = client.get_run(run_id).info.experiment_id

    def attempt(seed: int = 3) -> str:
        return registry.register_encoder(
            tracking_uri, run_id, "rspnet", build_seeded("tiny", seed), CARD, {GATE: 0.5}, {}
        ).version

    with monkeypatch.context() as patched:
        patched.setattr(registry, "_create_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            attempt()
    assert len(client.search_logged_models([experiment_id])) == 1
    assert [attempt(), attempt()] == ["1", "1"]
    assert len(client.search_logged_models([experiment_id])) == 1
    assert [attempt(seed=4), attempt(seed=3)] == ["2", "1"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_changed_weights_are_refused(tracking_uri: str, tmp_path: Path) -> None:
    """Wherever a registered encoder is loaded: by its name, by MLflow, from its files; with the file and both hashes.
    Who changes the card too is found out by the version."""
    import mlflow
    from safetensors.torch import load_file, save_file

    model = register(tracking_uri)
    (folder,) = (tmp_path / "mlartifacts" / "models").glob("*/artifacts/artifacts")
    weights = load_file(folder / "encoder.safetensors")
    name = next(name for name in weights if weights[name].dtype == torch.float32)
    weights[name].view(-1)[0] += 1e-3
    save_file(weights, folder / "encoder.safetensors")
    expected = rf"encoder.safetensors have SHA-256 {weights_sha256(weights)}, and [0-9a-f]{{64}} was recorded"
    with pytest.raises(ValueError, match=expected):
        registry.pull_encoder(model.model_uri, tracking_uri)
    with pytest.raises(ValueError, match=expected):
        load_model(str(folder / "encoder.safetensors"), tracking_uri)
    with pytest.raises(Exception, match="was recorded when they were saved"):
        mlflow.pyfunc.load_model(str(folder.parent))
    card = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps(card | {"weights_sha256": weights_sha256(weights)}))
    load_model(str(folder / "encoder.safetensors"), tracking_uri)
    with pytest.raises(ValueError, match=f"the weights in {model.model_uri} have SHA-256"):
        registry.pull_encoder(model.model_uri, tracking_uri)


def test_a_card_of_an_older_version_is_read_with_a_warning(tmp_path: Path) -> None:
    """It has no hash: its weights cannot be checked, and that is said."""
    weights_path, card_path = save_encoder(tmp_path, build_seeded("tiny", 3), CARD)
    card = json.loads(card_path.read_text())
    del card["weights_sha256"]
    card_path.write_text(json.dumps(card | {"schema_version": 2}))
    with pytest.warns(UserWarning, match=f"{weights_path} has no recorded SHA-256"):
        assert load_model(str(weights_path), "").card == CARD


def test_model_holds_both_packages_and_no_pickle(tracking_uri: str, tmp_path: Path) -> None:
    """The code travels without caches, the weights as safetensors."""
    register(tracking_uri)
    (folder,) = (tmp_path / "mlartifacts" / "models").glob("*/artifacts")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "artifacts/encoder.safetensors",
        "artifacts/encoder.json",
        "code/rspnet_core/__init__.py",
    } <= files
    assert not [name for name in files if "__pycache__" in name or name.endswith((".pkl", ".pt", ".pyc"))]


def test_fresh_process_predicts_from_the_model_alone(tracking_uri: str, videos: list[Path], tmp_path: Path) -> None:
    """`load_model("models:/rspnet@champion").predict(paths or bytes)` runs the model's own code, no Ray."""
    model = register(tracking_uri)
    promotion.promote(tracking_uri, "rspnet", model.version)
    (tmp_path / "predict.py").write_text(PREDICT)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(tmp_path / "predict.py"), *map(str, videos)],
        env=environment | {"MLFLOW_TRACKING_URI": tracking_uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = VideoEmbedder(build_seeded("tiny", 3), CARD).embed(videos)
    for kind in ("paths", "bytes", "column"):
        np.testing.assert_allclose(found[kind], expected, rtol=1e-5, atol=1e-6)
    assert found["dtype"] == "float32"
    assert found["has_ray"] is False
    assert all(str(tmp_path / "mlartifacts") in path for path in found["code"])
    assert third_party_imports(found["code"]) <= set(pyfunc_package.REQUIREMENTS)


PREDICT = """
import json, sys
from pathlib import Path
import mlflow, pandas
model = mlflow.pyfunc.load_model("models:/rspnet@champion")
paths = sys.argv[1:]
by_path = model.predict(paths)
print(json.dumps({
    "paths": by_path.tolist(),
    "bytes": model.predict([Path(path).read_bytes() for path in paths]).tolist(),
    "column": model.predict(pandas.DataFrame({"video": paths})).tolist(),
    "dtype": str(by_path.dtype),
    "has_ray": "ray" in sys.modules,
    "code": [str(m.__file__) for name, m in list(sys.modules.items()) if name.startswith("rspnet_")],
}))
"""


def test_better_version_becomes_champion(tracking_uri: str) -> None:
    """The first version is champion; a later one only if it beats it on the same data and protocol."""
    first = register(tracking_uri, top1=0.5)
    choice = promotion.choose_alias(tracking_uri, "rspnet", first.version, GATE)
    assert (choice.alias, choice.reason) == ("champion", "'rspnet' has no champion yet")
    promotion.set_alias(tracking_uri, "rspnet", first.version, choice.alias)
    measured = ((0.5, "abc"), (0.9, "xyz"), (0.6, "abc"))
    later = [register(tracking_uri, top1=top1, dataset=dataset) for top1, dataset in measured]
    choices = [promotion.choose_alias(tracking_uri, "rspnet", model.version, GATE) for model in later]
    assert [choice.alias for choice in choices] == ["challenger", "challenger", "champion"]
    assert choices[0].reason == f"{GATE} 0.5000 does not beat 0.5000 of the champion, version 1"
    assert "dataset_sha256 is 'xyz'" in choices[1].reason
    promotion.set_alias(tracking_uri, "rspnet", later[2].version, "challenger")
    assert promotion.promote(tracking_uri, "rspnet", "challenger").version == later[2].version
    aliases = tracking_client(tracking_uri).get_registered_model("rspnet").aliases
    assert {alias: str(version) for alias, version in aliases.items()} == {"champion": later[2].version}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/rspnet@best", "'rspnet' has versions \\[1\\] and aliases none"),
        ("models:/rspnet/7", "models:/rspnet/7 does not exist"),
        ("models:/other@champion", "registered models are: rspnet"),
        ("models:/rspnet", "accepted are models:/NAME@ALIAS"),
        ("random:huge", "encoder is 'huge'; accepted are"),
        ("weights.pt", "model is 'weights.pt'; accepted are"),
    ],
)
def test_unknown_models_are_refused_by_name(tracking_uri: str, model: str, message: str) -> None:
    """A MODEL that does not exist is an error that says what does."""
    register(tracking_uri)
    with pytest.raises(ValueError, match=message):
        load_model(model, tracking_uri)
