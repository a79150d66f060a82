import numpy as np
import pytest
import torch
from torch import Tensor

from rspnet_core.pretext.pixel_moves import move_pixels
from rspnet_core.sampling.clip_cloze import (
    GRID_PERMUTATION,
    GRID_PERMUTATIONS,
    OPERATIONS,
    ORIGINAL,
    ROTATION,
    TEMPORAL_REMOTE,
    TEMPORAL_SHUFFLING,
)


def moved(clips: Tensor, *moves: tuple[int, int]) -> Tensor:
    operation, variant = torch.tensor(moves).unbind(dim=1)
    return move_pixels(clips, operation, variant)


def with_tiles_in_order(picture: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Four tiles cut out and put back, one after the other."""
    result, half = np.empty_like(picture), len(picture) // 2
    corners = [(0, 0), (0, half), (half, 0), (half, half)]
    for place, tile in enumerate(order):
        (to_row, to_column), (row, column) = corners[place], corners[tile]
        result[to_row : to_row + half, to_column : to_column + half] = picture[row : row + half, column : column + half]
    return result


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_are_numpys_of_every_frame_and_channel(turns: int):
    """Counterclockwise quarter turns, as many as the variant says."""
    clips = torch.randn(2, 3, 4, 6, 6)
    expected = np.rot90(clips.numpy(), turns, axes=(3, 4)).copy()
    assert torch.equal(moved(clips, (ROTATION, turns), (ROTATION, turns)), torch.from_numpy(expected))


@pytest.mark.parametrize("variant", range(1, 24))
def test_tiles_are_exchanged_as_the_variant_says(variant: int):
    """Every order of the four tiles, on every frame and channel."""
    [clip] = clips = torch.randn(1, 3, 2, 10, 10)
    [result] = moved(clips, (GRID_PERMUTATION, variant))
    for channel in range(3):
        for frame in range(2):
            expected = with_tiles_in_order(clip[channel, frame].numpy(), GRID_PERMUTATIONS[variant])
            np.testing.assert_array_equal(result[channel, frame].numpy(), expected)


def test_moves_by_hand():
    """One pixel a tile: a quarter turn, and tiles 2, 0, 3, 1, which shows 2 at the top left."""
    picture = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).expand(1, 3, 1, 2, 2)
    assert moved(picture, (ROTATION, 1))[0, 0, 0].tolist() == [[1.0, 3.0], [0.0, 2.0]]
    variant = GRID_PERMUTATIONS.index((2, 0, 3, 1))
    assert moved(picture, (GRID_PERMUTATION, variant))[0, 0, 0].tolist() == [[2.0, 0.0], [3.0, 1.0]]


@pytest.mark.parametrize("operation", [ORIGINAL, TEMPORAL_SHUFFLING, TEMPORAL_REMOTE])
def test_what_frames_alone_do_leaves_pixels_alone(operation: int):
    """Whatever the variant."""
    clips = torch.randn(6, 3, 2, 4, 4)
    assert torch.equal(moved(clips, *((operation, variant) for variant in range(6))), clips)


def test_each_clip_of_a_batch_has_a_move_of_its_own():
    """A batch of all operations is what each of its clips is alone; the input is not written to."""
    clips = torch.randn(6, 3, 2, 8, 8)
    before = clips.clone()
    moves = [(operation, 1) for operation in range(len(OPERATIONS))] + [(ROTATION, 3)]
    alone = [moved(clips[i : i + 1], move) for i, move in enumerate(moves)]
    assert torch.equal(moved(clips, *moves), torch.cat(alone))
    assert torch.equal(clips, before)
    assert not torch.equal(alone[ROTATION], clips[ROTATION : ROTATION + 1])
