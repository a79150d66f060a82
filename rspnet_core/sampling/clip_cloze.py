"""Video cloze: three clips in a row, the middle one altered; which way has to be told (VCP, Luo et al., AAAI 2020,
arXiv 2001.00294).

No official code was found. The operations are those of the paper's abstract, their details those of unofficial
code, whose wrong spacing of the clips (they overlap) is not reproduced: here they lie `num_frames_between` apart.
"""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from rspnet_core.sampling.clip_orders import TooShort, check_too_short, tuple_starts
from rspnet_core.sampling.clip_placement import check_minimums, place_clip
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo

OPERATIONS = ("original", "rotation", "grid_permutation", "temporal_shuffling", "temporal_remote")
ORIGINAL, ROTATION, GRID_PERMUTATION, TEMPORAL_SHUFFLING, TEMPORAL_REMOTE = range(len(OPERATIONS))
"""The first of a plan's two labels: the class."""

MIDDLE = 1
"""The altered clip's place in a plan."""

GRID_PERMUTATIONS = tuple(permutations(range(4)))
"""By the variant of GRID_PERMUTATION: the tile (0 top left, 1 top right, 2 bottom left, 3 bottom right) that is
shown at each place. Variant 0 changes nothing and is never drawn."""

SWAPPED_CHUNKS = tuple(combinations(range(4), 2))
"""By the variant of TEMPORAL_SHUFFLING: which two of a clip's four chunks of frames changed places."""

BEFORE, AFTER = range(2)
"""The variants of TEMPORAL_REMOTE: the side of the three clips that the middle one was taken from."""


@dataclass(frozen=True, kw_only=True)
class ClipClozeSampler:
    """Plans three clips and labels (operation, variant), the operation drawn uniformly.

    | operation | variant | done by |
    |---|---|---|
    | ORIGINAL | 0 | nobody |
    | ROTATION | 1, 2 or 3 quarter turns | the task, on the device |
    | GRID_PERMUTATION | a place in `GRID_PERMUTATIONS` | the task, on the device |
    | TEMPORAL_SHUFFLING | a place in `SWAPPED_CHUNKS` | the frame indices |
    | TEMPORAL_REMOTE | BEFORE or AFTER | the frame indices |

    The remote clip has `min_remote_distance` frames or more between itself and the three, on a side drawn from those
    with room. Where neither has it, the operation is drawn again from the other four, as published: the label
    depends on the length of the video.

    `grid_permutations` are the variants to draw from. One unofficial code always exchanges both diagonals: (23,).

    `too_short` is that of `tuple_starts`: squeezed clips overlap, so that the middle one is seen in part in its
    neighbours. Each clip has its own augmentation group unless `share_augmentation` is on; which of both the paper
    does is not known.
    """

    num_frames_per_clip: int = 16
    num_frames_between: int = 8
    min_remote_distance: int = 16
    grid_permutations: tuple[int, ...] = tuple(range(1, 24))
    too_short: TooShort = "reject"
    share_augmentation: bool = False

    def __post_init__(self) -> None:
        check_too_short(self.too_short)
        check_minimums(self, num_frames_per_clip=4, num_frames_between=0, min_remote_distance=0)
        if not self.grid_permutations or not set(self.grid_permutations) <= set(range(1, 24)):
            raise ValueError(f"grid_permutations is {self.grid_permutations}; accepted are numbers from 1 to 23")

    @property
    def num_clips(self) -> int:
        return 3

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        starts = tuple_starts(
            video,
            generator,
            num_clips=self.num_clips,
            num_frames_per_clip=self.num_frames_per_clip,
            num_frames_between=self.num_frames_between,
            too_short=self.too_short,
        )
        remote_starts = self._remote_starts(video.num_frames, first=starts[0], last=starts[-1])
        operation = int(generator.integers(len(OPERATIONS)))
        if operation == TEMPORAL_REMOTE and not remote_starts:
            operation = int(generator.integers(TEMPORAL_REMOTE))
        variant = self._draw_variant(operation, remote_starts, generator)
        if operation == TEMPORAL_REMOTE:
            starts[MIDDLE] = int(generator.choice(remote_starts[variant]))
        clips = [self._clip(video, start, place) for place, start in enumerate(starts)]
        if operation == TEMPORAL_SHUFFLING:
            clips[MIDDLE] = swap_chunks(clips[MIDDLE], *SWAPPED_CHUNKS[variant])
        return ClipPlan(clips=tuple(clips), labels=(operation, variant))

    def _remote_starts(self, num_frames: int, *, first: int, last: int) -> dict[int, range]:
        """Where a remote clip may start, for each side that has room; `first` and `last` are starts of clips."""
        distance = self.num_frames_per_clip + self.min_remote_distance
        starts = {
            BEFORE: range(first - distance + 1),
            AFTER: range(last + distance, num_frames - self.num_frames_per_clip + 1),
        }
        return {side: places for side, places in starts.items() if places}

    def _draw_variant(self, operation: int, remote_starts: dict[int, range], generator: np.random.Generator) -> int:
        variants = {
            ORIGINAL: (0,),
            ROTATION: (1, 2, 3),
            GRID_PERMUTATION: self.grid_permutations,
            TEMPORAL_SHUFFLING: range(len(SWAPPED_CHUNKS)),
            TEMPORAL_REMOTE: tuple(remote_starts),
        }[operation]
        return int(generator.choice(variants))

    def _clip(self, video: VideoInfo, start: int, place: int) -> ClipSpec:
        return place_clip(
            video,
            start=start,
            num_frames_per_clip=self.num_frames_per_clip,
            augmentation_group=0 if self.share_augmentation else place,
        )


def swap_chunks(clip: ClipSpec, one: int, other: int) -> ClipSpec:
    """The clip with two of its four chunks exchanged; where 4 does not divide the frames, the first chunks are longer
    by one."""
    chunks = np.array_split(np.array(clip.frame_indices), 4)
    chunks[one], chunks[other] = chunks[other], chunks[one]
    return ClipSpec(
        frame_indices=tuple(np.concatenate(chunks).tolist()),
        playback_speed=clip.playback_speed,
        augmentation_group=clip.augmentation_group,
    )
