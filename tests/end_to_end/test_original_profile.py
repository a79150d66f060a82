"""A data set that keeps its input files' own bytes, from ingest to the registered encoder."""

import sqlite3
from pathlib import Path

import psutil
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest

from tests.end_to_end.pretrain_job import PretrainJob

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def original_uri(small_dataset, tmp_path_factory) -> str:
    """The small data set's files."""
    config = IngestConfig(
        source=str(Path(small_dataset.uri).parent / "videos"),
        output=str(tmp_path_factory.mktemp("original") / "shards"),
        profile="original",
        short_side=64,
    )
    return ingest(config).output


@pytest.mark.parametrize(("decoder", "recorded"), [("pyav", "sequential, PyAV"), ("decord", "decord 0.")])
def test_training_and_evaluation_read_it(original_uri, tmp_path, decoder, recorded):
    """With either decoder, which the run's record names with its version; several samples a visit too. No decoding
    process is left."""
    job = PretrainJob(folder=tmp_path, dataset=original_uri)
    result = job.result(data__decoder=decoder, data__num_samples_per_visit=2, training__num_epochs=3)
    assert (result["num_steps"], result["num_samples"], result["num_damaged_videos"]) == (9, 72, 0)
    assert "validation/retrieval_top1" in result["metrics"]
    with sqlite3.connect(job.database) as database:
        [[reader]] = database.execute("select value from tags where key = 'reader'").fetchall()
        [[param]] = database.execute("select value from params where key = 'data.decoder'").fetchall()
    assert reader.startswith(recorded)
    assert param == decoder
    assert not [process for process in psutil.process_iter(["cmdline"]) if is_decoding_child(process, str(tmp_path))]


def is_decoding_child(process: psutil.Process, folder: str) -> bool:
    """Of this test's job: others may run beside it."""
    try:
        return "decord_child" in " ".join(process.cmdline()) and folder in process.cwd()
    except psutil.Error:
        return False


def test_a_decoder_for_an_indexed_data_set_is_refused(small_dataset, tmp_path):
    """Before anything starts: it would change nothing, and the run's record would say otherwise."""
    done = PretrainJob(folder=tmp_path, dataset=small_dataset.uri).run(data__decoder="decord")
    assert done.returncode == 1
    assert "data.decoder is 'decord', and the data set's profile is 'indexed'" in done.stderr
