"""Rotations and exchanged tiles as one gather: where each pixel of a square picture comes from."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.sampling.clip_cloze import GRID_PERMUTATION, GRID_PERMUTATIONS, ROTATION

NUM_ROTATIONS = 4


@lru_cache(maxsize=8)
def sources(side: int, device: torch.device) -> Int64[Tensor, "moves pixels"]:
    """For each move, over the pixels of a picture of `side` x `side`, the place that a pixel is taken from: first the
    rotations by 0 to 3 quarter turns counterclockwise, then the orders of the four tiles (0 top left, 1 top right, 2
    bottom left, 3 bottom right)."""
    pixels = np.arange(side * side).reshape(side, side)
    half = side // 2
    tiles = [pixels[row : row + half, column : column + half] for row in (0, half) for column in (0, half)]
    moves = [np.rot90(pixels, turns) for turns in range(NUM_ROTATIONS)]
    for order in GRID_PERMUTATIONS:
        moves.append(np.block([[tiles[order[0]], tiles[order[1]]], [tiles[order[2]], tiles[order[3]]]]))
    return torch.from_numpy(np.stack([move.reshape(-1) for move in moves])).to(device)


def move_pixels(
    clips: Float[Tensor, "batch channel time side side"],
    operation: Int64[Tensor, " batch"],
    variant: Int64[Tensor, " batch"],
) -> Float[Tensor, "batch channel time side side"]:
    """Clips turned by ROTATION's variant of quarter turns, or with their tiles in GRID_PERMUTATION's order; those of
    other operations as they were. All frames of a clip alike. `side` is even."""
    still = torch.zeros_like(variant)
    move = torch.where(operation == ROTATION, variant, still)
    move = torch.where(operation == GRID_PERMUTATION, variant + NUM_ROTATIONS, move)
    places = sources(clips.shape[-1], clips.device)[move][:, None, None]
    pixels = clips.flatten(3)
    return pixels.gather(3, places.expand(-1, *pixels.shape[1:3], -1)).reshape(clips.shape)
