"""Every tiny recipe from shards to a registered encoder, with its own clips and task, all on one Ray; but for
tiny_cpu, which the other tests train."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest

from jobs.recipes import RECIPES
from tests.end_to_end.pretrain_job import ROOT, PretrainJob
from tests.videos import encode_video, moving_pictures

TINY = [name for name in RECIPES if name.startswith("tiny_") and name != "tiny_cpu"]
NUM_STEPS = 4
"""2 epochs of 24 videos in batches of 12."""

DRIVER = """
import json, sys
from rspnet_platform import runtime
from rspnet_platform.command_line import parse_recipe
from rspnet_platform.pretraining import pretrain
from jobs.recipes import DEFAULT_RECIPE, RECIPES
if __name__ == "__main__":
    disconnect, runtime.disconnect = runtime.disconnect, lambda: None
    for arguments in json.loads(sys.argv[1]):
        print(json.dumps(pretrain(parse_recipe(RECIPES, DEFAULT_RECIPE, arguments, program="test"))), flush=True)
    disconnect()
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unlabelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """24 videos of 40 frames: long enough for every recipe, and nothing to evaluate."""
    folder = tmp_path_factory.mktemp("unlabelled")
    (folder / "videos").mkdir()
    for index in range(24):
        (folder / "videos" / f"{index:02d}.mp4").write_bytes(encode_video(moving_pictures(40, 64, 80, seed=index)))
    config = IngestConfig(source=str(folder / "videos"), output=str(folder / "shards"), short_side=64)
    return ingest(config).output


@pytest.fixture(scope="module")
def results(
    unlabelled_dataset: str, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[PretrainJob, dict]]:
    folder = tmp_path_factory.mktemp("recipes")
    settings = {"training.num-epochs": 2, "training.global-batch-size": 12, "training.log-every-num-steps": 1}
    jobs = [
        PretrainJob(folder=folder / name, dataset=unlabelled_dataset, recipe=name, settings=settings) for name in TINY
    ]
    for job in jobs:
        job.folder.mkdir()
        shutil.copy(empty_database, job.database)
    arguments = json.dumps([job.command()[2:] for job in jobs])
    paths = {"PYTHONPATH": f"{ROOT}:{Path(ROOT) / 'platform'}"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, arguments],
        capture_output=True,
        text=True,
        timeout=60 * len(jobs),
        cwd=folder,
        env=os.environ | paths,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    printed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {job.recipe: (job, result) for job, result in zip(jobs, printed, strict=True)}


@pytest.mark.parametrize("recipe", TINY)
def test_a_tiny_recipe_trains_and_registers(recipe: str, results: dict[str, tuple[PretrainJob, dict]]) -> None:
    """A finite loss at every step, another each time, and the encoder in the registry."""
    job, result = results[recipe]
    assert (result["num_steps"], result["num_samples"], result["num_damaged_videos"]) == (NUM_STEPS, 48, 0)
    assert result["model_uri"] == "models:/rspnet/1"
    losses = job.losses()
    assert sorted(losses) == list(range(1, NUM_STEPS + 1))
    assert all(math.isfinite(loss) for loss in losses.values())
    assert len(set(losses.values())) == NUM_STEPS
