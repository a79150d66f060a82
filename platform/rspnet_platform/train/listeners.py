"""What follows a run from rank 0: the loop tells them, and knows none of them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rspnet_platform.tracking.metric_writer import MetricWriter
from rspnet_platform.train.progress import ProgressBoard


class Listener(AbstractContextManager, Protocol):
    """Entered on rank 0 when training starts there, and left when it ends, however it ends."""

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None: ...


@dataclass(kw_only=True)
class MlflowListener(AbstractContextManager):
    """Metrics into the driver's MLflow run. What cannot be sent stays in `outbox` and is sent later."""

    tracking_uri: str
    run_id: str
    outbox: str
    _writer: MetricWriter | None = field(default=None, init=False)

    def __enter__(self) -> "MlflowListener":
        self._writer = MetricWriter(self.tracking_uri, self.run_id, Path(self.outbox))
        return self

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        assert self._writer is not None
        self._writer.log(step, metrics)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@dataclass(kw_only=True)
class ProgressListener(AbstractContextManager):
    """The driver's progress bar."""

    board: ProgressBoard

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.board.write({"step": step, "metrics": metrics})

    def __exit__(self, *_: object) -> None:
        return None
