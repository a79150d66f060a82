"""Randomness that belongs to what it is drawn for, so that neither order nor worker count changes a
sample."""

import hashlib

import numpy as np


def random_stream(seed: int, epoch: int, video_index: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose of one video in one epoch of one run; equal keys give equal draws anywhere.

    `purpose` is a short name such as "clips" or "augmentation": streams of different purposes are
    independent, so that a new draw for one never shifts the draws of another.
    """
    return np.random.default_rng((seed, epoch, video_index, purpose_key(purpose)))


def purpose_key(purpose: str) -> int:
    """A stable 64-bit key: Python's own `hash` of a string changes from process to process."""
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
