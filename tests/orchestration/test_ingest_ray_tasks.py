"""The Ray tasks of an ingest, on a real Ray: what they send, what they survive, how they fail."""

import os
import pickle
import signal
from pathlib import Path

import psutil
import pytest
import ray
from rspnet_platform.ingest import cluster_workplace
from rspnet_platform.ingest.cluster_tasks import transcode_chunk
from rspnet_platform.ingest.isolated_child import IsolatedChild
from rspnet_platform.ingest.one_video import TranscodingTask, run_task
from rspnet_platform.ingest.outcomes import AlreadyPresent, TakenVideo
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.ingest_on_ray import cluster_config
from tests.orchestration.test_ingest_pipeline import contents
from tests.processes import descendants

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_of_two_cpus")]


def test_bytes_of_videos_stay_out_of_the_driver(
    many_videos: Path, ingested_locally: dict[str, bytes], tmp_path: Path, monkeypatch
) -> None:
    """All that the driver gets from its tasks is a small part of what they make; and the result is the same."""
    num_bytes_received = []

    def counting_get(reference: ray.ObjectRef) -> object:
        value = get(reference)
        num_bytes_received.append(len(pickle.dumps(value)))
        return value

    get = ray.get
    monkeypatch.setattr(cluster_workplace.ray, "get", counting_get)
    ingest(cluster_config(many_videos, tmp_path / "out", run_on="ray"))
    assert contents(tmp_path / "out") == ingested_locally
    shards = [data for name, data in ingested_locally.items() if name.startswith("shard-")]
    num_chunks = -(-len(list_videos(str(many_videos)).videos) // cluster_workplace.NUM_VIDEOS_PER_CHUNK)
    assert len(num_bytes_received) == num_chunks + len(shards)
    assert sum(num_bytes_received) < sum(map(len, shards)) / 50


def test_a_worker_that_dies_takes_its_child_along_and_loses_nothing(
    many_videos: Path, ingested_locally: dict[str, bytes], tmp_path: Path
) -> None:
    """SIGKILL of a Ray worker in the middle: its child is gone, its chunk is done again, the bytes are the same."""
    orphans: list[psutil.Process] = []

    def kill_one(num_done: int, *_: int) -> None:
        if num_done == 9:
            workers = descendants(os.getpid(), "ray::")
            worker = next(worker for worker in workers if descendants(worker.pid, "isolated_child"))
            orphans.extend(descendants(worker.pid, "isolated_child"))
            worker.kill()

    ingest(cluster_config(many_videos, tmp_path / "out", run_on="ray"), kill_one)
    assert orphans
    assert not psutil.wait_procs(orphans, timeout=30)[1]
    assert contents(tmp_path / "out") == ingested_locally


def test_a_child_that_crashes_in_a_ray_worker_costs_one_video(many_videos: Path) -> None:
    """The decoder's process dies in the middle of a chunk: that video is refused, the others of the chunk are taken."""
    listing = list_videos(str(many_videos))
    config = cluster_config(many_videos, "/nowhere")
    tasks = [TranscodingTask(video=video, config=config) for video in listing.videos[1:4]]

    def with_a_crash() -> list:
        from rspnet_platform.ingest import cluster_tasks

        isolated = IsolatedChild(crash_on_the_second, timeout_seconds=60)
        cluster_tasks._child = lambda _: isolated
        return list(transcode_chunk(tasks, 60.0, listing.root)[0].outcomes)

    first, second, third = ray.get(ray.remote(num_cpus=1, max_calls=1)(with_a_crash).remote())
    assert isinstance(first, TakenVideo)
    assert isinstance(third, TakenVideo)
    assert second == Refusal(path="002.mp4", reason=RefusalReason.CRASHED, detail="the process was ended by SIGSEGV")


def crash_on_the_second(task: TranscodingTask) -> TranscodedVideo | Refusal | AlreadyPresent:
    """What a child runs instead of `run_task`."""
    if task.video.video_id == "002.mp4":
        os.kill(os.getpid(), signal.SIGSEGV)
    return run_task(task)


def test_what_a_user_can_mend_is_one_plain_error(many_videos: Path, tmp_path: Path) -> None:
    """A folder that cannot be written, from a task on another node, is a StorageError that names it."""
    output = tmp_path / "out"
    output.mkdir()
    (output / "_ingest").mkdir()
    (output / "shard-00000.parquet").mkdir()  # nobody, not even root, can replace a folder by a file
    with pytest.raises(StorageError, match=r"^cannot write .*shard-00000\.parquet"):
        ingest(cluster_config(many_videos, output, run_on="ray"))


def test_a_source_that_a_node_does_not_see_is_one_plain_error(many_videos: Path) -> None:
    """Not a refusal of each video."""
    config = cluster_config(many_videos, Path("/nowhere"))
    workplace = cluster_workplace.ClusterWorkplace(config, "/not/on/this/node")
    tasks = [TranscodingTask(video=video, config=config) for video in list_videos(str(many_videos)).videos]
    with workplace, pytest.raises(StorageError, match=r"/not/on/this/node is not there on the node .* all nodes share"):
        list(workplace.transcode(tasks))


def test_a_file_that_changed_while_a_node_was_lost_is_found(many_videos: Path, tmp_path) -> None:
    """Pixels that are not those that the driver decided on never get into a shard under their name."""
    config = cluster_config(many_videos, tmp_path / "out")
    video = list_videos(str(many_videos)).videos[1]
    with cluster_workplace.ClusterWorkplace(config, str(many_videos)) as workplace:
        [taken] = workplace.transcode([TranscodingTask(video=video, config=config)])
        shard = workplace.open_shard(str(tmp_path / "shard.parquet"))
        assert isinstance(taken, TakenVideo)
        shard.add({"video_id": video.video_id}, 0, cluster_workplace.replace(taken, encoded_sha256="0" * 64))
        with pytest.raises(StorageError, match=r"001\.mp4 did not come out as before"):
            shard.close().result()
    assert not (tmp_path / "shard.parquet").exists()
