"""Clips that are decoded once for many runs: the very samples that each would decode, whatever is killed or damaged."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform import storage
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream import clip_pack_writing
from rspnet_platform.stream.clip_decoding import Sample, SampleRecipe
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.clip_pack_reading import packed_samples, part_uri
from rspnet_platform.stream.clip_pack_writing import PackWriter, fill_pack, missing_parts
from rspnet_platform.stream.clip_source import ClipSource, DueSample, due_samples
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.sweep.shared_clips import make_shared_clips
from rspnet_platform.train.watches import RunStoppedError

from jobs.recipe_files.tiny import tiny_cpu
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig
from tests.damaged_dataset import damage_videos
from tests.orchestration.test_visits import make_plan

RECIPE = SampleRecipe(sampler=SpeedPairSampler(num_frames_per_clip=4), views=(ViewConfig(crop_size=32),), seed=7)
VIDEOS = np.arange(1, 24)
NUM_EPOCHS = 3


def writer_for(dataset: ShardedDataset, folder: Path, num_samples: int, recipe: SampleRecipe = RECIPE) -> PackWriter:
    """Of all videos but the first; five to a part, so that there are several."""
    pack = ClipPack.plan(str(folder), dataset, recipe, VIDEOS, num_samples_per_video=num_samples)
    return PackWriter(
        pack=replace(pack, num_videos_per_part=5),
        dataset_uri=dataset.uri,
        locations=VideoLocations.from_dataset(dataset),
        recipe=recipe,
    )


def written(writer: PackWriter) -> ClipPack:
    """In this process."""
    for part, samples in missing_parts(writer.pack).items():
        assert writer.write(part, samples) == len(samples)
    return writer.pack


def samples_of(dataset: ShardedDataset, pack: ClipPack | None, recipe: SampleRecipe = RECIPE) -> Iterator[DueSample]:
    """What the read tasks of a run of three epochs make, in their order."""
    from rspnet_platform.stream.clip_source import Share

    plan = make_plan(dataset, video_indices=VIDEOS, num_epochs=NUM_EPOCHS, seed=recipe.seed, worker_counts=(1,))
    source = ClipSource(plan, recipe, DamageLedger(uri="unused"), pack)
    for task in source.get_read_tasks(1):
        [share] = [each for each in task.read_fn.args if isinstance(each, Share)]  # pyright: ignore
        yield from due_samples(share)


def sound(due: DueSample) -> Sample:
    assert isinstance(due.sample, Sample)
    return due.sample


def same(some: DueSample, others: DueSample) -> bool:
    assert (some.video_index, some.epoch) == (others.video_index, others.epoch)
    if isinstance(some.sample, DamagedVideoError) or isinstance(others.sample, DamagedVideoError):
        return str(some.sample) == str(others.sample)
    pairs = [(value, vars(others.sample)[name]) for name, value in vars(some.sample).items()]
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_a_run_has_the_very_samples_that_it_would_decode(small_dataset, tmp_path):
    """In the same order, bit by bit, with as many samples as epochs."""
    pack = written(writer_for(small_dataset, tmp_path, NUM_EPOCHS))
    packed, decoded = list(samples_of(small_dataset, pack)), list(samples_of(small_dataset, None))
    assert len(packed) == len(decoded) >= 60
    assert all(same(a, b) for a, b in zip(packed, decoded, strict=True))


def test_fewer_samples_come_in_turn_and_under_new_colours(small_dataset, tmp_path):
    """In epoch 2 the pictures of epoch 0; flips and colours are epoch 2's own, and those of another seed its own."""
    pack = written(writer_for(small_dataset, tmp_path, 2))
    decoded = {(due.epoch, due.video_index): sound(due) for due in samples_of(small_dataset, None)}
    of_epoch_2 = [due for due in samples_of(small_dataset, pack) if due.epoch == 2]
    assert of_epoch_2
    for due in of_epoch_2:
        sample, first, own = sound(due), decoded[0, due.video_index], decoded[2, due.video_index]
        assert np.array_equal(sample.planes, first.planes)
        assert np.array_equal(sample.playback_speeds, first.playback_speeds)
        assert np.array_equal(sample.view_numbers, own.view_numbers)
        assert not np.array_equal(sample.view_numbers, first.view_numbers)
    other = replace(RECIPE, seed=8)
    colours = {(due.epoch, due.video_index): sound(due) for due in samples_of(small_dataset, None, other)}
    for due in samples_of(small_dataset, pack, other):
        assert np.array_equal(sound(due).view_numbers, colours[due.epoch, due.video_index].view_numbers)
        of_the_pack = decoded.get((due.epoch % 2, due.video_index))
        if of_the_pack is not None:
            assert np.array_equal(sound(due).planes, of_the_pack.planes)
            assert np.array_equal(sound(due).playback_speeds, of_the_pack.playback_speeds)


def test_a_damaged_video_is_damaged_in_the_pack_too(small_dataset, tmp_path):
    """With the reason that decoding gives, in every epoch; it is entered in the pack's ledger once."""
    damaged = open_dataset(damage_videos(small_dataset, tmp_path / "damaged", {5, 11}))
    pack = written(writer_for(damaged, tmp_path, NUM_EPOCHS))
    packed, decoded = list(samples_of(damaged, pack)), list(samples_of(damaged, None))
    assert all(same(a, b) for a, b in zip(packed, decoded, strict=True))
    assert {due.video_index for due in packed if isinstance(due.sample, DamagedVideoError)} == {5, 11}
    assert [entry["video_index"] for entry in pack.damage.entries()] == [5, 11]


def test_what_changed_after_it_was_written_is_damage(small_dataset, tmp_path):
    """One flipped bit of one video's pictures: that video alone."""
    pack = written(writer_for(small_dataset, tmp_path, 1))
    path = Path(part_uri(pack.uri, 0, 0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    members = pack.members(0)
    outcomes = packed_samples(pack.share(members), members.tolist(), [0] * len(members), RECIPE)
    assert sum(isinstance(outcome, DamagedVideoError) for outcome in outcomes) == 1


@pytest.mark.parametrize("change", ["missing", "torn", "other"])
def test_a_pack_that_is_not_whole_is_an_error(small_dataset, tmp_path, change):
    """Of the store, naming the file and what helps: no video is to blame."""
    pack = written(writer_for(small_dataset, tmp_path, 1))
    path = Path(part_uri(pack.uri, 0, 1))
    data = path.read_bytes()
    path.unlink()
    if change != "missing":
        path.write_bytes(data[:1000] if change == "torn" else b"something else")
    with pytest.raises(storage.StorageError, match=r"part-00001.*accepted is a whole pack, or none"):
        list(samples_of(small_dataset, pack))


def test_other_clips_are_another_pack(small_dataset, tmp_path):
    """Of another seed, sampler, view, number of samples or of other videos."""

    def name(recipe: SampleRecipe = RECIPE, videos: np.ndarray = VIDEOS, num_samples: int = 2) -> str:
        return ClipPack.plan(str(tmp_path), small_dataset, recipe, videos, num_samples_per_video=num_samples).uri

    others = [
        name(replace(RECIPE, seed=8)),
        name(replace(RECIPE, sampler=SpeedPairSampler(num_frames_per_clip=8))),
        name(replace(RECIPE, views=(ViewConfig(crop_size=32, crop_area_fraction=(0.5, 1.0)),))),
        name(videos=VIDEOS[1:]),
        name(num_samples=3),
    ]
    assert name() == name()
    assert len({name(), *others}) == 6


def test_a_disk_that_is_too_small_is_refused(small_dataset, tmp_path, monkeypatch):
    """Before anything is decoded, with both sizes."""
    usage = clip_pack_writing.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(clip_pack_writing.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ValueError, match=r"has 0\.0 GiB left; accepted are"):
        fill_pack(writer_for(small_dataset, tmp_path, 2), cpus_per_task=0.5)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_pack_is_made_on_ray_and_goes_on(small_dataset, tmp_path):
    """Only what is missing is written; once it is whole, nothing."""
    writer = writer_for(small_dataset, tmp_path, 2)
    writer.write(0, [0, 1])
    kept = {path: path.stat().st_mtime_ns for path in Path(writer.pack.uri).rglob("*.parquet")}
    assert len(kept) == 2
    assert not writer.pack.is_made
    make_shared_clips(writer, small_dataset, tiny_cpu())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert writer.pack.is_made
    assert missing_parts(writer.pack) == {}
    make_shared_clips(writer, small_dataset, tiny_cpu())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_run_that_has_a_pack_reads_no_video(small_dataset, tmp_path):
    """Its data set may be anywhere."""
    writer = writer_for(small_dataset, tmp_path, 1)
    written(writer)
    stream = TrainingStream(
        plan=make_plan(small_dataset, video_indices=VIDEOS, num_epochs=2, worker_counts=(1,), dataset_uri="/nowhere"),
        recipe=RECIPE,
        damage=DamageLedger(uri=str(tmp_path / "damaged")),
        cpus_per_decode_task=0.5,
        read_consumed=lambda: None,
        pack=writer.pack,
    )
    rows = stream().take_all()
    assert len(rows) == 2 * len(VIDEOS) // 6 * 6
    assert stream.damage.count() == 0


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_sweep_stops_before_its_first_trial_over_damaged_videos(small_dataset, tmp_path):
    """More than the run allows: once, with their names, not once a trial; mended, they are decoded anew. The list
    stays, and a pack that another sweep was content with stays too."""
    damaged = open_dataset(damage_videos(small_dataset, tmp_path / "damaged", {5, 11}))
    writer = writer_for(damaged, tmp_path, 1)
    strict, lenient = tiny_cpu(), replace(tiny_cpu(), data=replace(tiny_cpu().data, max_damaged_fraction=0.2))
    names = {row["video_index"]: row["video_id"] for row in damaged.videos.to_pylist()}
    with pytest.raises(RunStoppedError, match=r"2 of the 23 videos.*allows 1") as stopped:
        make_shared_clips(writer, damaged, strict)
    assert all(names[index] in str(stopped.value) for index in (5, 11))
    assert not writer.pack.is_made
    assert len(missing_parts(writer.pack)) == writer.pack.num_parts
    assert [entry["video_index"] for entry in writer.pack.damage.entries()] == [5, 11]
    make_shared_clips(writer, damaged, lenient)
    assert writer.pack.is_made
    with pytest.raises(RunStoppedError, match="allows 1"):
        make_shared_clips(writer, damaged, strict)
    assert writer.pack.is_made
