from collections import Counter
from functools import cache

import numpy as np
import pytest

from rspnet_core.sampling.clip_cloze import (
    AFTER,
    BEFORE,
    GRID_PERMUTATION,
    GRID_PERMUTATIONS,
    MIDDLE,
    OPERATIONS,
    ORIGINAL,
    ROTATION,
    SWAPPED_CHUNKS,
    TEMPORAL_REMOTE,
    TEMPORAL_SHUFFLING,
    ClipClozeSampler,
    swap_chunks,
)
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo


@cache
def plans(sampler: ClipClozeSampler, num_frames: int = 140, count: int = 500) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def of(operation: int, drawn: list[ClipPlan]) -> list[ClipPlan]:
    chosen = [plan for plan in drawn if plan.labels[0] == operation]
    assert chosen
    return chosen


def first(plan: ClipPlan, place: int) -> int:
    return plan.clips[place].frame_indices[0]


def test_outer_clips_are_never_altered():
    """16 consecutive frames each, 48 apart, whatever is done to the one between."""
    for plan in plans(ClipClozeSampler()):
        assert first(plan, 2) - first(plan, 0) == 48
        assert all(set(np.diff(plan.clips[place].frame_indices)) == {1} for place in (0, 2))


@pytest.mark.parametrize("operation", [ORIGINAL, ROTATION, GRID_PERMUTATION])
def test_spatial_operations_leave_the_frames_alone(operation: int):
    """The middle clip lies 8 frames from both neighbours: what is done to its pixels is the task's."""
    for plan in of(operation, plans(ClipClozeSampler())):
        begin = first(plan, 0) + 24
        assert plan.clips[MIDDLE].frame_indices == tuple(range(begin, begin + 16))


def test_shuffling_exchanges_the_two_chunks_of_its_variant():
    """All 6 pairs of chunks occur; undoing the exchange gives the original clip."""
    shuffled = of(TEMPORAL_SHUFFLING, plans(ClipClozeSampler()))
    for plan in shuffled:
        middle, pair = plan.clips[MIDDLE], SWAPPED_CHUNKS[plan.labels[1]]
        begin = first(plan, 0) + 24
        assert middle.frame_indices != tuple(range(begin, begin + 16))
        assert swap_chunks(middle, *pair).frame_indices == tuple(range(begin, begin + 16))
    assert {plan.labels[1] for plan in shuffled} == set(range(6))


def test_swapping_by_hand():
    """Chunks 0 and 2 of eight frames; of six frames the chunks are 2, 2, 1 and 1 long."""
    eight, six = (ClipSpec(frame_indices=tuple(range(n)), augmentation_group=3) for n in (8, 6))
    assert swap_chunks(eight, 0, 2) == ClipSpec(frame_indices=(4, 5, 2, 3, 0, 1, 6, 7), augmentation_group=3)
    assert swap_chunks(six, 0, 3).frame_indices == (5, 2, 3, 4, 0, 1)


def test_a_remote_clip_is_consecutive_and_far_enough_on_the_side_of_its_variant():
    """16 frames or more lie between it and the three; both sides occur, up to both ends of the video."""
    remote = of(TEMPORAL_REMOTE, plans(ClipClozeSampler(), num_frames=140, count=1500))
    gaps = {BEFORE: set[int](), AFTER: set[int]()}
    for plan in remote:
        middle, side = plan.clips[MIDDLE].frame_indices, plan.labels[1]
        assert set(np.diff(middle)) == {1}
        gap = first(plan, 0) - middle[-1] - 1 if side == BEFORE else middle[0] - plan.clips[2].frame_indices[-1] - 1
        gaps[side].add(gap)
    assert min(gaps[BEFORE]) == min(gaps[AFTER]) == 16
    assert min(plan.clips[MIDDLE].frame_indices[0] for plan in remote) == 0
    assert max(plan.clips[MIDDLE].frame_indices[-1] for plan in remote) == 139


@pytest.mark.parametrize("num_frames", [64, 95])
def test_the_remote_class_is_never_drawn_without_room(num_frames: int):
    """64 + 16 + 16 frames are the least with room; below, its share goes evenly to the other four."""
    counts = Counter(plan.labels[0] for plan in plans(ClipClozeSampler(), num_frames))
    assert counts[TEMPORAL_REMOTE] == 0
    assert all(abs(counts[operation] - 125) < 5 * np.sqrt(125) for operation in range(4))


def test_the_remote_class_is_drawn_where_either_side_has_room():
    """96 frames leave room on one side when the three lie at an end, and on none when they lie between."""
    drawn = plans(ClipClozeSampler(), num_frames=96, count=1500)
    assert {first(plan, 0) for plan in of(TEMPORAL_REMOTE, drawn)} == {0, 32}
    assert {first(plan, 0) for plan in of(ORIGINAL, drawn)} == set(range(33))


def test_operations_and_variants_are_drawn_evenly():
    """With room on both sides or one, always: five operations alike; three turns; 23 permutations, never none."""
    drawn = plans(ClipClozeSampler(), num_frames=1000, count=1500)
    counts = Counter(plan.labels[0] for plan in drawn)
    assert all(abs(counts[operation] - 300) < 5 * np.sqrt(300) for operation in range(len(OPERATIONS)))
    turns = Counter(plan.labels[1] for plan in of(ROTATION, drawn))
    assert set(turns) == {1, 2, 3}
    assert max(abs(count - 100) for count in turns.values()) < 6 * np.sqrt(100)
    assert {plan.labels[1] for plan in of(GRID_PERMUTATION, drawn)} == set(range(1, 24))
    assert {plan.labels[1] for plan in of(ORIGINAL, drawn)} == {0}


def test_the_fixed_permutation_of_unofficial_code_is_a_setting():
    """Number 23 shows the tiles in reverse: both diagonals are exchanged."""
    assert GRID_PERMUTATIONS[0] == (0, 1, 2, 3)
    assert GRID_PERMUTATIONS[23] == (3, 2, 1, 0)
    drawn = plans(ClipClozeSampler(grid_permutations=(23,)), count=100)
    assert {plan.labels[1] for plan in of(GRID_PERMUTATION, drawn)} == {23}


def test_a_short_video_is_refused_or_squeezed():
    """63 frames are one too few for three clips with 8 frames between them."""
    with pytest.raises(ValueError, match="video 7 has 63 frames; 64 or more are needed"):
        plans(ClipClozeSampler(), 63)
    squeezed = of(ORIGINAL, plans(ClipClozeSampler(too_short="squeeze"), 40))
    assert {tuple(first(plan, place) for place in range(3)) for plan in squeezed} == {(0, 12, 24)}


def test_each_clip_has_its_own_view_unless_shared():
    """An altered clip keeps the group of its place."""
    assert {tuple(c.augmentation_group for c in plan.clips) for plan in plans(ClipClozeSampler())} == {(0, 1, 2)}
    shared = plans(ClipClozeSampler(share_augmentation=True))
    assert {clip.augmentation_group for plan in shared for clip in plan.clips} == {0}


@pytest.mark.parametrize("wrong", [{"grid_permutations": (0,)}, {"grid_permutations": ()}, {"num_frames_per_clip": 3}])
def test_wrong_values_are_refused_by_name(wrong: dict):
    """Four chunks need four frames; permutation 0 changes nothing."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClipClozeSampler(**wrong)
