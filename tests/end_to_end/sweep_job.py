"""Runs `jobs/sweep.py` as its user does, on small settings, and reads what it left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.pretrain_job import ROOT, WITHOUT_REPORT, PretrainJob

SETTINGS = {
    "task.clips.num-frames-per-clip": 4,
    "task.view.crop-size": 32,
    "task.queue-size": 16,
    "training.global-batch-size": 8,
    "training.num-epochs": 10,
    "training.checkpoint-every-num-steps": 10,
    "training.log-every-num-steps": 1,
    "validation.max-num-videos": 16,
    "validation.num-cpus": 0.25,
    "scaling.cpus-per-worker": 0.5,
    "scaling.cpus-per-decode-task": 0.25,
    "evaluation.num-random-encoders": 1,
    "search": "optimizer.learning_rate=choice:0.05,0.1,1e30",
    "sweep.sampler": "grid",
    "sweep.name": "rates",
    "sweep.max-concurrent-trials": 2,
    "sweep.num-repeated": 1,
    "sweep.num-seeds": 1,
    "sweep.num-final-epochs": 2,
    "sweep.num-packed-samples": 5,
}


@dataclass(frozen=True, kw_only=True)
class SweepProcess(PretrainJob):
    """`jobs/sweep.py`, with the settings above."""

    switches: tuple[str, ...] = WITHOUT_REPORT
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def sweep_folder(self) -> Path:
        return self.folder / "sweeps" / "rates"

    def arguments(self) -> list[str]:
        values = SETTINGS | {
            "data.shards": self.dataset,
            "sweep.storage": self.folder / "sweeps",
            "tracking.uri": f"sqlite:///{self.database}",
            **self.settings,
        }
        return ["custom", *(text for key, value in values.items() for text in (f"--{key}", str(value))), *self.switches]

    def command(self, **changes: object) -> list[str]:
        assert not changes
        job = str(ROOT / "jobs" / "sweep.py")
        return [*super().command()[:1], job, *self.arguments()]

    def trial(self, number: int) -> dict:
        path = self.sweep_folder / "trials" / f"{number:04d}.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "not begun", "scores": []}
