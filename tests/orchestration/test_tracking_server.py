"""Tracking and registering through a real MLflow server that is killed and comes back."""

import math
from pathlib import Path

import pytest
import torch
from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.tracking import promotion, registry, runs
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.metric_outbox import MetricOutbox
from rspnet_platform.tracking.metric_writer import MetricWriter

from tests.tracking_server import free_port, mlflow_server
from tests.waiting import history, wait_until

pytestmark = pytest.mark.slow


def test_every_metric_arrives_once_though_the_server_dies(tmp_path: Path) -> None:
    """What is logged before, during and after an outage arrives in full and once, also by a later process."""
    port, outbox = free_port(), str(tmp_path / "outbox")
    with mlflow_server(tmp_path, port) as uri:
        run_id = runs.start_run(uri, "videos", "outage", {}, {})
        writer = MetricWriter(uri, run_id, outbox, flush_seconds=0.1)
        writer.log(0, {"loss": 1.0, "nothing": math.nan, "endless": math.inf})
        wait_until(lambda: writer.num_unsent == 0, "the first metrics are not sent")
    writer.log(1, {"loss": 2.0})
    wait_until(lambda: writer._is_away, "the outage is not noticed")
    writer.persist()
    assert len(MetricOutbox(outbox)) == 1
    for step in range(2, 1300):
        writer.log(step, {"loss": float(step)})
    assert writer.close() == 1299
    later = MetricWriter(uri, run_id, outbox, flush_seconds=0.1)
    later.log(1300, {"loss": 1300.0})
    wait_until(lambda: later._is_away, "the later writer does not notice that nobody is there")
    later.persist()
    assert len(MetricOutbox(outbox)) == 1300
    with mlflow_server(tmp_path, port) as uri:
        wait_until(lambda: later.num_unsent == 0, "the outbox is not sent")
        assert later.close() == 0
        assert len(MetricOutbox(outbox)) == 0
        assert history(uri, run_id, "loss") == [(0, 1.0), (1, 2.0)] + [(i, float(i)) for i in range(2, 1301)]
        assert math.isnan(history(uri, run_id, "nothing")[0][1])
        assert history(uri, run_id, "endless")[0][1] > 1e308


def test_encoder_goes_through_a_server(tmp_path: Path) -> None:
    """Without access to the server's files, an encoder is registered and pulled by its alias, unchanged."""
    card = EncoderCard(encoder="tiny", feature_dim=128)
    with mlflow_server(tmp_path, free_port()) as uri:
        run_id = runs.start_run(uri, "videos", "first", {}, {})
        model = registry.register_encoder(uri, run_id, "rspnet", build_seeded("tiny", 3), card, {}, {})
        promotion.promote(uri, "rspnet", model.version)
        encoder, pulled_card = registry.pull_encoder("models:/rspnet@champion", uri)
        source = tracking_client(uri).get_model_version("rspnet", model.version).source
    assert pulled_card == card
    assert str(source).startswith("models:/m-")
    torch.testing.assert_close(encoder.state_dict(), build_seeded("tiny", 3).state_dict(), rtol=0, atol=0)
