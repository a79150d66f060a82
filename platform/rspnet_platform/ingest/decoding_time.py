"""A video may take time in proportion to what is decoded of it: long and large ones are no hangs."""

from collections.abc import Iterable, Iterator

import numpy as np

from rspnet_platform.ingest.isolated_child import earn_seconds
from rspnet_platform.videos.sequential_decoding import OpenedVideo

NUM_PIXELS_PER_SECOND = 5_000_000
"""Earned seconds are a limit, not an estimate: one core decodes some 50 to 500 million."""


def earning_time(video: OpenedVideo, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures of a video that is being decoded; each time that it has earned a second or more, the time limit is
    told."""
    num_pixels_told = 0
    for picture in pictures:
        yield picture
        num_new = video.num_decoded_pixels - num_pixels_told
        if num_new >= NUM_PIXELS_PER_SECOND:
            earn_seconds(num_new / NUM_PIXELS_PER_SECOND)
            num_pixels_told += num_new
