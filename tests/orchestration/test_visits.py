"""Several samples from one decode of a video: the same pictures as one at a time, fewer decodes, bounded memory."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_visit
from rspnet_platform.stream.clip_source import ClipSource, Share, due_samples
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.data_config import DataConfig
from rspnet_platform.stream.frame_readers import Frames, IndexedReader
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations
from rspnet_platform.stream.training_dataset import TrainingStream

from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig

READS: Counter[int] = Counter()


@dataclass(frozen=True, kw_only=True)
class CountingReader(IndexedReader):
    """Counts how often each video is decoded; frames from `first_damaged_frame` on are damaged."""

    first_damaged_frame: int = 1000

    def read(self, video: EncodedVideo, wanted: Collection[int]) -> Frames:
        READS[video.info.video_index] += 1
        if max(wanted) >= self.first_damaged_frame:
            raise DamagedVideoError("damaged")
        return super().read(video, wanted)


RECIPE = SampleRecipe(
    sampler=SpeedPairSampler(num_frames_per_clip=4), views=(ViewConfig(crop_size=32),), seed=7, reader=CountingReader()
)


def make_plan(dataset: ShardedDataset, **changes) -> StreamPlan:
    num_videos = dataset.description.num_videos
    values = {
        "dataset_uri": dataset.uri,
        "locations": VideoLocations.from_dataset(dataset),
        "video_indices": np.arange(num_videos),
        "seed": 7,
        "num_epochs": 5,
        "global_batch_size": 6,
        "worker_counts": (2,),
        "num_row_groups_per_window": 2,
        "consumed": ConsumedVideos(num_videos=num_videos, num_videos_per_epoch=num_videos),
    }
    return StreamPlan(**(values | changes))


def shares(plan: StreamPlan, recipe: SampleRecipe = RECIPE) -> list[Share]:
    """What Ray's read tasks would get."""
    source = ClipSource(plan, recipe, DamageLedger(uri="/nowhere"))
    return [cast(Any, task.read_fn).args[0] for task in source.get_read_tasks(1)]


def samples(plan: StreamPlan, recipe: SampleRecipe = RECIPE) -> dict[tuple[int, int], tuple[bytes, ...] | None]:
    """Every sample's bytes, None for a damaged one, by (epoch, video index), in the order of the shares."""
    found = {}
    for share in shares(plan, recipe):
        for due in due_samples(share):
            arrays = None if isinstance(due.sample, DamagedVideoError) else vars(due.sample).values()
            found[due.epoch, due.video_index] = arrays and tuple(array.tobytes() for array in arrays)
    return found


@pytest.fixture(scope="module")
def one_at_a_time(small_dataset) -> dict:
    return samples(make_plan(small_dataset))


@pytest.mark.parametrize("num_samples_per_visit", [2, 3, 7])
def test_samples_do_not_depend_on_how_many_share_a_decode(small_dataset, one_at_a_time, num_samples_per_visit):
    """Pictures, views and speeds of each video and epoch are those of one sample a visit; each video is decoded once
    for so many epochs."""
    READS.clear()
    found = samples(make_plan(small_dataset, num_samples_per_visit=num_samples_per_visit))
    assert found == one_at_a_time
    assert list(found) != list(one_at_a_time)
    assert dict.fromkeys(range(24), -(-5 // num_samples_per_visit)) == READS


def test_a_resumed_visit_decodes_what_is_left_of_it(small_dataset, one_at_a_time):
    """After 7 of 20 batches: the rest of the undisturbed order with its pictures, one decode a visit that is open."""
    plan = make_plan(small_dataset, num_samples_per_visit=3)
    order = list(samples(plan))
    done, left = order[: 7 * 6], order[7 * 6 :]
    consumed = ConsumedVideos(num_videos=24, num_videos_per_epoch=24)
    consumed.mark(*np.array(done).T)
    READS.clear()
    found = samples(replace(plan, consumed=consumed))
    assert list(found) == left
    assert all(found[sample] == one_at_a_time[sample] for sample in left)
    assert READS.total() == len({(epoch // 3, video) for epoch, video in left})


def test_damage_costs_the_same_samples_however_many_share_a_decode(small_dataset):
    """Where a video's later frames are damaged, an epoch whose clips lie before them still has its sample."""
    recipe = replace(RECIPE, reader=CountingReader(first_damaged_frame=15))
    alone = samples(make_plan(small_dataset), recipe)
    together = samples(make_plan(small_dataset, num_samples_per_visit=5), recipe)
    assert together == alone
    assert 0 < sum(sample is None for sample in alone.values()) < len(alone)


def test_a_visit_gives_an_outcome_for_each_epoch(small_dataset):
    """In the epochs' order."""
    [share, *_] = shares(make_plan(small_dataset))
    video = next(iter(visited_videos(share)))
    found = decode_visit(video, [4, 0], RECIPE)
    assert [len(outcome.planes) for outcome in found if not isinstance(outcome, DamagedVideoError)] == [3, 3]
    assert not np.array_equal(vars(found[0])["planes"], vars(found[1])["planes"])


def visited_videos(share: Share) -> list[EncodedVideo]:
    from rspnet_platform.shards.row_groups import read_videos

    return [read_videos(share.dataset_uri, shard, group, [row])[0] for shard, group, row in share.locations]


def make_stream(plan: StreamPlan, crop_size: int) -> TrainingStream:
    recipe = SampleRecipe(sampler=SpeedPairSampler(), views=(ViewConfig(crop_size=crop_size),), seed=0)
    return TrainingStream(
        plan=plan,
        recipe=recipe,
        damage=DamageLedger(uri="/nowhere"),
        cpus_per_decode_task=1,
        read_consumed=lambda: None,
    )


def large_plan(**changes) -> StreamPlan:
    """10,000 videos in batches of 256."""
    indices = np.arange(10_000)
    values = {
        "dataset_uri": "/nowhere",
        "locations": VideoLocations(shard_names=("a",), shard=indices * 0, row_group=indices // 64, row=indices % 64),
        "video_indices": indices,
        "seed": 0,
        "num_epochs": 100,
        "global_batch_size": 256,
        "worker_counts": (4,),
        "num_row_groups_per_window": 4,
        "consumed": ConsumedVideos(num_videos=10_000, num_videos_per_epoch=10_000),
    }
    return StreamPlan(**(values | changes))


def test_what_a_decode_task_would_keep_is_bounded():
    """Clips of 16 x 112 x 112 of 256 videos and more: 0.86 MiB a sample; too many are refused with the numbers, and the
    number that is named as accepted is."""
    make_stream(large_plan(num_samples_per_visit=4), crop_size=112)
    message = r"num_samples_per_visit is 16: .* keep 4\.4 GiB .* 0\.86 MiB each .* accepted are numbers up to (\d+),"
    with pytest.raises(ValueError, match=message) as refused:
        make_stream(large_plan(num_samples_per_visit=16), crop_size=112)
    accepted = int(str(refused.value).split("numbers up to ")[1].split(",")[0])
    make_stream(large_plan(num_samples_per_visit=accepted), crop_size=112)
    with pytest.raises(ValueError, match="a decode task would keep"):
        make_stream(large_plan(num_samples_per_visit=accepted + 1), crop_size=112)


def test_the_bound_counts_what_a_share_keeps(small_dataset):
    """Against counting: the most samples that are decoded and not yet due, over all shares; also of shares that go over
    from some epochs to the next, and hold a video twice."""
    for k, num_epochs, batch in ((1, 5, 6), (2, 5, 6), (3, 5, 6), (3, 3, 6), (4, 3, 6), (2, 5, 20)):
        plan = make_plan(
            small_dataset,
            num_samples_per_visit=k,
            num_epochs=num_epochs,
            global_batch_size=batch,
            worker_counts=(batch,),
        )
        most = 0
        for share in shares(plan):
            visits, begun, waiting = share.visits(), set(), 0
            for visit in visits:
                waiting += visits.count(visit) - 1 if visit not in begun else -1
                begun.add(visit)
                most = max(most, waiting)
        spare = plan.num_rows_per_block * k + plan.num_samples_dropped
        assert 0 <= plan.max_samples_waiting - most <= spare, (k, num_epochs, batch)


def test_no_samples_a_visit_are_refused():
    """With what is accepted."""
    with pytest.raises(ValueError, match="num_samples_per_visit is 0; accepted are numbers from 1 on"):
        DataConfig(num_samples_per_visit=0)
