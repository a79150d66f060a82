"""When a version beats the champion: the rule alone, on the tags of two versions."""

import pytest
from rspnet_platform.tracking import promotion

GATE = "validation/retrieval_top1"
DATA = {"dataset_sha256": "a"}


@pytest.mark.parametrize(
    ("candidate", "champion", "reason"),
    [
        ({}, DATA, "dataset_sha256 is 'unknown'"),
        (
            {"dataset_sha256": "a", "protocol": "p"},
            {"dataset_sha256": "a", "protocol": "q"},
            "protocol is 'p'",
        ),
    ],
)
def test_metrics_of_other_protocols_do_not_compare(
    candidate: dict[str, str], champion: dict[str, str], reason: str
) -> None:
    """Unknown data or another protocol leaves the champion in place, and says why."""
    choice = promotion.compare(candidate, champion, "the champion", GATE)
    assert choice.alias == "challenger"
    assert choice.reason.startswith(reason)


def test_missing_gate_metric_wins_nothing() -> None:
    """A version without the gate metric, or with NaN, stays challenger."""
    tags = {"dataset_sha256": "a", "protocol": "p"}
    measured = tags | {f"metric.{GATE}": "0.5"}
    for candidate in (tags, tags | {f"metric.{GATE}": "nan"}):
        assert promotion.compare(candidate, measured, "the champion", GATE).alias == "challenger"
    assert promotion.compare(measured, tags, "the champion", GATE).alias == "challenger"
