"""What `cluster/` holds fits Kubernetes' definition of it and our own command line."""

import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from rspnet_platform.command_line import parse_recipe

from jobs.recipes import DEFAULT_RECIPE, RECIPES

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT.parent / "shared" / "schemas"


@pytest.fixture
def rayjob() -> dict:
    return yaml.safe_load((ROOT / "cluster" / "rayjob-pretrain.yaml").read_text())


def test_rayjob_fits_its_definition(rayjob):
    """KubeRay's own custom resource definition, unknown fields refused, accepts it."""
    path = DEFINITIONS / "ray.io_rayjobs.yaml"
    if not path.exists():
        pytest.skip(f"no {path}")
    versions = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
    [schema] = [v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1"]
    jsonschema.validate(rayjob, closed(schema))


def closed(schema: dict) -> dict:
    """The schema with unknown fields refused, as the API server prunes them silently."""
    result = {key: closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if isinstance(result.get("properties"), dict) and "additionalProperties" not in result and "metadata" not in result:
        is_open = schema.get("x-kubernetes-preserve-unknown-fields")
        result["additionalProperties"] = bool(is_open) or not schema["properties"]
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result


def test_rayjob_starts_a_recipe_with_keys_that_exist(rayjob):
    """The entrypoint parses, names its run, and keeps its results where every node reaches them."""
    program, script, *arguments = shlex.split(rayjob["spec"]["entrypoint"])
    assert (program, Path(script).name) == ("python", "pretrain.py")
    config = parse_recipe(RECIPES, DEFAULT_RECIPE, arguments, program="pretrain.py")
    assert config.recipe == "rspnet_r3d18"
    assert config.run.name
    assert str(config.run.storage).startswith("s3://")
    train = next(g for g in rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"] if g["groupName"] == "train")
    assert config.scaling.worker_range == (train["replicas"], train["replicas"])


def test_versions_agree(rayjob):
    """One Ray everywhere: constraints, image and cluster."""
    constraints = (ROOT / "constraints.txt").read_text()
    version = rayjob["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"\nray=={version}\n" in constraints
    assert f"rayproject/ray:{version}-py311" in (ROOT / "cluster" / "Dockerfile").read_text()
