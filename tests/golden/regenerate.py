"""Writes the golden losses anew: `python -m pytest tests/golden/regenerate.py`, after a change that is meant to change
them. Not collected by itself: its name is no test's."""

from tests.end_to_end.pretrain_job import ROOT, PretrainJob

NUM_LOSSES = 10


def test_regenerate(small_dataset, tmp_path):
    """Not a test: it holds nothing."""
    job = PretrainJob(folder=tmp_path, dataset=small_dataset.uri)
    job.result()
    losses = job.losses()
    lines = [
        "# train/loss of the tiny recipe's first steps on the tests' small data set, seed 0; regenerate.py writes it"
    ]
    lines += [f"{losses[step]:.6f}" for step in range(1, NUM_LOSSES + 1)]
    (ROOT / "tests" / "golden" / "tiny_losses.txt").write_text("\n".join(lines) + "\n")
