"""What follows a run from rank 0: the loop tells them, and knows none of them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from rspnet_platform.storage import StorageError
from rspnet_platform.tracking.metric_writer import MetricWriter
from rspnet_platform.train.progress import ProgressBoard


class Listener(AbstractContextManager, Protocol):
    """Entered on rank 0 when training starts there, and left when it ends, however it ends."""

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None: ...

    def before_checkpoint(self, step: int) -> None:
        """Before the checkpoint of `step` is handed in: a run that goes on from it takes none of these steps again."""
        ...


@dataclass(kw_only=True)
class MlflowListener(AbstractContextManager):
    """Metrics into the driver's MLflow run. What cannot be sent stays in `outbox`, a folder in the run's storage, and
    is sent later."""

    tracking_uri: str
    run_id: str
    outbox: str
    _writer: MetricWriter | None = field(default=None, init=False)

    def __enter__(self) -> "MlflowListener":
        self._writer = MetricWriter(self.tracking_uri, self.run_id, self.outbox)
        return self

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        assert self._writer is not None
        self._writer.log(step, metrics)

    def before_checkpoint(self, step: int) -> None:  # noqa: ARG002
        assert self._writer is not None
        self._writer.persist()

    def __exit__(self, error_type: object, error: object, traceback: object) -> None:
        if self._writer is not None:
            # A store that has just stayed away is not waited for again: what it lacks is taken again, or was sent.
            self._writer.close(persists=not isinstance(error, StorageError))
            self._writer = None


@dataclass(kw_only=True)
class ProgressListener(AbstractContextManager):
    """The driver's progress bar."""

    board: ProgressBoard

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.board.write({"step": step, "metrics": metrics})

    def before_checkpoint(self, step: int) -> None:
        """Nothing to do."""

    def __exit__(self, *_: object) -> None:
        return None
