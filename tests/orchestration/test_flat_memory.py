"""Memory of a decode process over many samples."""

import psutil
import pytest
from rspnet_platform.stream.clip_source import read_share

from tests.orchestration.test_visits import make_plan, shares

pytestmark = pytest.mark.slow

NUM_SAMPLES, NUM_TO_WARM_UP = 20_000, 4_000
ALLOWED_BYTES = 20 * 1024**2


@pytest.mark.parametrize("num_samples_per_visit", [4])
def test_twenty_thousand_samples_leave_no_memory_behind(small_dataset, num_samples_per_visit):
    """Read, decoded and made into blocks in one process, as one of Ray's does: after the first thousands it holds no
    more at the end than it did before, give or take what an allocator keeps."""
    plan = make_plan(small_dataset, num_epochs=NUM_SAMPLES // 24 + 1, num_samples_per_visit=num_samples_per_visit)
    process, num_read, after_warm_up = psutil.Process(), 0, 0
    for share in shares(plan):
        for block in read_share(share):
            num_read += block.num_rows
        if num_read >= NUM_TO_WARM_UP and not after_warm_up:
            after_warm_up = process.memory_info().rss
    assert num_read >= NUM_SAMPLES
    assert after_warm_up > 0
    assert process.memory_info().rss - after_warm_up < ALLOWED_BYTES
