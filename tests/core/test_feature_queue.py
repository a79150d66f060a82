from collections import deque

import pytest
import torch
from torch import Tensor

from rspnet_core.feature_queue import NO_VIDEO, FeatureQueue


def keys(count: int, first: int) -> tuple[Tensor, Tensor]:
    """Keys that say which they are: key n is (n, n, n) of video n."""
    video_index = torch.arange(first, first + count)
    return video_index.float()[:, None].expand(count, 3).contiguous(), video_index


@pytest.mark.parametrize("batch_sizes", [[2, 2, 2], [3, 3, 3, 3], [7], [5, 7, 1, 6, 4], [7, 7], [1] * 9])
def test_the_queue_holds_the_newest_keys(batch_sizes: list[int]):
    """After any batches up to the queue's size it holds what a deque of that length does."""
    queue, slow = FeatureQueue(queue_size=7, embedding_dim=3), deque([NO_VIDEO] * 7, maxlen=7)
    first = 0
    for batch_size in batch_sizes:
        features, video_index = keys(batch_size, first)
        queue.enqueue(features, video_index)
        slow.extend(video_index.tolist())
        first += batch_size
        assert sorted(queue.video_index.tolist()) == sorted(slow)
        oldest_first = torch.cat((queue.video_index[queue.pointer :], queue.video_index[: queue.pointer]))
        assert oldest_first.tolist() == list(slow)
        filled = queue.video_index != NO_VIDEO
        assert torch.equal(queue.features[filled][:, 0], queue.video_index[filled].float())


def test_a_batch_larger_than_the_queue_is_refused():
    """The error names both sizes, and nothing has changed."""
    queue = FeatureQueue(queue_size=4, embedding_dim=3)
    with pytest.raises(ValueError, match="5 keys for a queue of 4"):
        queue.enqueue(*keys(5, 0))
    assert queue.video_index.tolist() == [NO_VIDEO] * 4


def test_the_queue_starts_with_unit_vectors_of_no_video():
    """Different directions of length one, which no video's mask matches."""
    queue = FeatureQueue(queue_size=64, embedding_dim=32)
    torch.testing.assert_close(queue.features.norm(dim=1), torch.ones(64))
    cosines = queue.features @ queue.features.T
    assert (cosines - torch.eye(64)).abs().max() < 0.9
    assert not queue.same_video(torch.arange(10)).any()


def test_same_video_marks_entries_of_the_same_video():
    """A row for each query, a column for each place of the queue."""
    queue = FeatureQueue(queue_size=4, embedding_dim=3)
    queue.enqueue(*keys(3, 10))
    marks = queue.same_video(torch.tensor([11, 5]))
    assert marks.tolist() == [[False, True, False, False], [False] * 4]


def test_everything_is_in_the_checkpoint():
    """A queue loaded from another's state goes on exactly as that one would."""
    queue, restored = (FeatureQueue(queue_size=5, embedding_dim=3) for _ in range(2))
    queue.enqueue(*keys(3, 0))
    restored.load_state_dict(queue.state_dict())
    for each in (queue, restored):
        each.enqueue(*keys(4, 3))
    for name, tensor in queue.state_dict().items():
        assert torch.equal(tensor, restored.state_dict()[name])
