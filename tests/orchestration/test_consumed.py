"""The record of what has been trained on."""

import json

import numpy as np
import pytest
from rspnet_platform.stream.consumed import ConsumedVideos


def test_an_epoch_closes_when_its_last_video_was_seen():
    """Batches run over the end of an epoch: two are open at a time, and the complete one is forgotten."""
    consumed = ConsumedVideos(num_videos=10, num_videos_per_epoch=4)
    consumed.mark(np.array([0, 0, 0]), np.array([1, 3, 5]))
    assert (consumed.first_open_epoch, consumed.num_samples) == (0, 3)
    consumed.mark(np.array([0, 1, 1]), np.array([7, 1, 3]))
    assert (consumed.first_open_epoch, consumed.num_samples) == (1, 6)
    assert set(consumed.masks) == {1}


@pytest.mark.parametrize(("epochs", "videos"), [([0], [1]), ([0, 0], [2, 2])])
def test_a_second_time_is_an_error(epochs, videos):
    """Plan and record can never contradict each other unseen."""
    consumed = ConsumedVideos(num_videos=10, num_videos_per_epoch=4)
    consumed.mark(np.array([0]), np.array([1]))
    with pytest.raises(RuntimeError, match="a second time"):
        consumed.mark(np.array(epochs), np.array(videos))


def test_a_closed_epoch_takes_no_more():
    """Also after its mask is gone."""
    consumed = ConsumedVideos(num_videos=3, num_videos_per_epoch=1)
    consumed.mark(np.array([0]), np.array([2]))
    with pytest.raises(RuntimeError, match="a second time"):
        consumed.mark(np.array([0]), np.array([2]))


def test_json_round_trip():
    """What a checkpoint keeps is what was marked."""
    consumed = ConsumedVideos(num_videos=1000, num_videos_per_epoch=700)
    generator = np.random.default_rng(0)
    videos = generator.permutation(1000)[:350]
    consumed.mark(np.full(350, 2), videos)
    again = ConsumedVideos.from_json(json.loads(json.dumps(consumed.to_json())))
    assert again.num_samples == 350
    assert np.array_equal(again.masks[2], consumed.masks[2])


def test_many_epochs_are_open_at_once_and_close_in_order():
    """Several samples a visit begin several epochs together; a later one that is complete waits for those before it,
    also in a checkpoint."""
    consumed = ConsumedVideos(num_videos=4, num_videos_per_epoch=2)
    consumed.mark(np.array([0, 1, 2]), np.array([1, 1, 1]))
    consumed.mark(np.array([2, 1]), np.array([3, 3]))
    assert (consumed.first_open_epoch, set(consumed.masks), consumed.num_samples) == (0, {0, 1, 2}, 5)
    consumed = ConsumedVideos.from_json(json.loads(json.dumps(consumed.to_json())))
    consumed.mark(np.array([0]), np.array([3]))
    assert (consumed.first_open_epoch, consumed.masks, consumed.num_samples) == (3, {}, 6)
