"""What cannot fit is refused before it hangs."""

import pytest
from rspnet_platform.stream.cpu_budget import Budget, BudgetError, Claim, fitting_cpus_per_worker


def test_two_whole_workers_leave_no_cpu_to_decode_on_two():
    """Ray would wait for ever; the table says who wants what."""
    claims = (
        Claim(who="training workers", count=2, cpus=1),
        Claim(who="decode tasks, at least", count=1, cpus=0.5),
    )
    with pytest.raises(
        BudgetError, match=r"too few CPUs(?s:.*)training workers +2 +2(?s:.*)together +2\.5(?s:.*)has +2"
    ):
        Budget(claims=claims, cluster_cpus=2).check()
    Budget(claims=claims, cluster_cpus=2.5).check()


def test_gpus_are_counted_too():
    """A GPU worker on a cluster without GPUs would wait for ever as well."""
    with pytest.raises(BudgetError, match="too few GPUs"):
        Budget(claims=(Claim(who="workers", count=1, cpus=1, gpus=1),), cluster_cpus=4).check()


@pytest.mark.parametrize(("num_workers", "cpus", "expected"), [(1, 2, 1.0), (2, 2, 0.5), (3, 4, 1.0), (4, 4, 0.5)])
def test_workers_take_a_whole_cpu_where_a_decode_task_still_fits(num_workers, cpus, expected):
    """And half a one otherwise."""
    assert fitting_cpus_per_worker(num_workers=num_workers, cpus_per_decode_task=0.5, cluster_cpus=cpus) == expected
