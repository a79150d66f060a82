"""What a job says to what it cannot use: one message, status 1, nothing on stdout, nothing begun."""

import pytest

from tests.end_to_end.pretrain_job import PretrainJob

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data__shards": "/nowhere"},
            "/nowhere is not a data set: no dataset.json; make one with",
        ),
        ({"training__global_batch_size": 25}, "a global batch of 25 exceeds the 24 videos to train on"),
        ({"task__queue_size": 4}, "global_batch_size is 8; accepted are up to 4: the keys of one batch must fit"),
        ({"tracking__uri": "http://127.0.0.1:9"}, "no answer from the tracking store http://127.0.0.1:9"),
        (
            {"task__clips__past_the_end": "reject", "task__clips__num_frames_per_clip": 16},
            "has 20 frames; 31 are needed for 16 frames at speed 2",
        ),
        ({"scaling__num_workers": 4, "scaling__cpus_per_worker": 100}, "the cluster has too few CPUs for this run"),
    ],
)
def test_a_run_that_cannot_be_is_refused_at_once(small_dataset, tmp_path, changes, message):
    """Each names the value, and what would be accepted."""
    job = PretrainJob(folder=tmp_path, dataset=small_dataset.uri)
    done = job.run(**changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not job.run_folder.exists()
