"""What a run's folder says of the run: how far it has come, and under which MLflow run it is tracked."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from rspnet_platform import storage

Stage = Literal["training", "trained", "finished"]
RECORD = "run.json"

MAY_CHANGE = (
    "data.shards",
    "data.max_damaged_fraction",
    "data.version",
    "scaling.",
    "run.",
    "tracking.",
    "evaluation.",
    "validation.",
    "training.log_every_num_steps",
    "training.checkpoint_every_num_steps",
    "training.num_checkpoints_kept",
    "training.num_prefetched_batches",
)
"""What a resumed run may have differently: where and how it runs, not what it learns. (The data set itself may lie
elsewhere or have been added to; the hash of the version must be the same.)"""

MAY_NOT_CHANGE = ("validation.fraction", "validation.num_clips_per_crop")
"""Of fine-tuning, where validation takes videos away from training and chooses the epoch."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """`num_resumes`: how often the run was gone on with; None for one from before that was counted.
    `registered_checkpoint`: the name of its folder in the run's, once its encoder is in the registry."""

    stage: Stage
    mlflow_run_id: str
    dataset_sha256: str
    config: dict[str, Any]
    num_resumes: int | None = None
    registered_checkpoint: str | None = None

    def save(self, run_uri: str) -> None:
        storage.write_json(storage.join(run_uri, RECORD), asdict(self))

    def at(self, stage: Stage) -> "RunRecord":
        return replace(self, stage=stage)

    @classmethod
    def load(cls, run_uri: str) -> "RunRecord | None":
        """None for a run that has not begun."""
        path = storage.join(run_uri, RECORD)
        return cls(**storage.read_json(path)) if storage.exists(path) else None

    def check_resumable(self, *, run_uri: str, dataset_sha256: str, config: dict[str, Any]) -> None:
        """Raises ValueError for a finished run, another data set, or another recipe."""
        if self.stage == "finished":
            raise ValueError(
                f"the run {run_uri} has finished; accepted is another --run.name, or another --run.storage"
            )
        if self.dataset_sha256 != dataset_sha256:
            raise ValueError(
                f"the run {run_uri} was begun on data set {self.dataset_sha256[:12]}, and --data.shards is "
                f"{dataset_sha256[:12]}; accepted is the same data set, or another --run.name"
            )
        changed = [
            f"--{key} was {self.config.get(key)!r}, is {value!r}"
            for key, value in config.items()
            if (key in MAY_NOT_CHANGE or not key.startswith(MAY_CHANGE)) and self.config.get(key) != value
        ]
        if changed:
            raise ValueError(
                f"the run {run_uri} was begun with another config: {'; '.join(changed)}. Accepted is the same config, "
                "or another --run.name"
            )
