"""Damages videos as disks, networks and attackers do, the same way for the same seed."""

from collections.abc import Callable

import numpy as np

HEADER_BYTES = 1024
Mutation = Callable[[bytearray, np.random.Generator], None]


def flip_in_header(data: bytearray, generator: np.random.Generator) -> None:
    """1 to 8 bits of the first kilobyte."""
    _flip(data, generator, min(len(data), HEADER_BYTES), int(generator.integers(1, 9)))


def flip_anywhere(data: bytearray, generator: np.random.Generator) -> None:
    """1 to 30 bits."""
    _flip(data, generator, len(data), int(generator.integers(1, 31)))


def truncate(data: bytearray, generator: np.random.Generator) -> None:
    """The end is missing."""
    del data[int(generator.integers(len(data) // 20, len(data))) :]


def delete(data: bytearray, generator: np.random.Generator) -> None:
    """Up to 4 kB within are missing."""
    start = int(generator.integers(len(data)))
    del data[start : start + int(generator.integers(1, 4096))]


def splice(data: bytearray, generator: np.random.Generator) -> None:
    """Up to 4 kB are overwritten with what lies elsewhere in the file."""
    start, other = generator.integers(len(data), size=2).tolist()
    size = int(generator.integers(1, 4096))
    data[start : start + size] = data[other : other + size]


def _flip(data: bytearray, generator: np.random.Generator, end: int, num_bits: int) -> None:
    for place in generator.integers(end, size=num_bits).tolist():
        data[place] ^= 1 << int(generator.integers(8))


MUTATIONS: dict[str, Mutation] = {
    "flip_in_header": flip_in_header,
    "flip_anywhere": flip_anywhere,
    "truncate": truncate,
    "delete": delete,
    "splice": splice,
}


def mutated(data: bytes, mutation: str, seed: int) -> bytes:
    """The video after one mutation, by its name in MUTATIONS."""
    changed = bytearray(data)
    MUTATIONS[mutation](changed, np.random.default_rng(seed))
    return bytes(changed)
