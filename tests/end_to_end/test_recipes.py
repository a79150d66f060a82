"""Every tiny recipe as its user runs it: from shards to a registered encoder, with the recipe's own clips and task."""

import math

import pytest

from jobs.recipes import RECIPES
from tests.end_to_end.pretrain_job import PretrainJob

SETTINGS = {
    "training.num-epochs": 4,
    "training.global-batch-size": 12,
    "training.log-every-num-steps": 1,
    "evaluation.num-random-encoders": 1,
}
NUM_STEPS = 8
"""4 epochs of 24 videos in batches of 12."""
OF_OTHER_TESTS = ("tiny_cpu",)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("recipe", [n for n in RECIPES if n.startswith("tiny_") and n not in OF_OTHER_TESTS])
def test_a_tiny_recipe_trains_and_registers(recipe: str, small_dataset, tmp_path):
    """Finite losses of the method's own name at every step, weights that moved, and its encoder in the registry."""
    job = PretrainJob(folder=tmp_path, dataset=small_dataset.uri, recipe=recipe, settings=SETTINGS)
    result = job.result()
    assert (result["num_steps"], result["num_samples"], result["num_damaged_videos"]) == (NUM_STEPS, 96, 0)
    assert result["model_uri"] == "models:/rspnet/1"
    losses = job.losses()
    assert sorted(losses) == list(range(1, NUM_STEPS + 1))
    assert all(math.isfinite(loss) for loss in losses.values())
    assert len(set(losses.values())) == NUM_STEPS
