"""A sweep whose every name is settled, and that was found to be possible, before anything starts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rspnet_platform import storage
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.run import settle
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_pack_writing import PackWriter
from rspnet_platform.stream.cpu_budget import Budget, BudgetError
from rspnet_platform.sweep.search import SweepConfig, SweepJob
from rspnet_platform.sweep.shared_clips import check_clips_stay, plan_shared_clips, videos_of_trials
from rspnet_platform.sweep.suggestions import suggest
from rspnet_platform.sweep.trial_record import TrialBook, TrialRecord
from rspnet_platform.train.launch import plan_stream
from rspnet_platform.train.requirements import check_requirements
from rspnet_platform.train.run_record import MAY_CHANGE, RECORD
from rspnet_platform.validation.validation_videos import choose_validation_videos, is_labelled

SWEEP_RECORD = "sweep.json"
FINAL_RUN = "final"
REPEATS_APART = 100_000
"""A repeat's number is its trial's, and so much more for each seed: further trials do not take its place."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """`trial_config` is the recipe with a trial's budget, `video_indices` are what it trains on;
    `shared_clips` are these decoded, none where each trial decodes its own."""

    job: SweepJob
    uri: str
    home: Path
    tracking_uri: str
    trial_config: PretrainConfig
    dataset: ShardedDataset
    video_indices: np.ndarray
    num_samples_per_trial: int
    shared_clips: PackWriter | None

    @property
    def options(self) -> SweepConfig:
        return self.job.sweep

    @property
    def name(self) -> str:
        assert self.options.name is not None
        return self.options.name

    @property
    def runs_uri(self) -> str:
        return storage.join(self.uri, "runs")

    @property
    def book_folder(self) -> str:
        return storage.join(self.uri, "trials")

    @property
    def board_name(self) -> str:
        return f"rspnet-sweep-{self.uri}"

    @property
    def final_config(self) -> PretrainConfig | None:
        """The recipe with its full budget; None where no winner is to be trained."""
        num_epochs = self.options.num_final_epochs
        if num_epochs == 0:
            return None
        training = replace(self.trial_config.training, num_epochs=num_epochs or self.job.recipe.training.num_epochs)
        run = replace(self.trial_config.run, name=FINAL_RUN, storage=self.runs_uri)
        return replace(self.trial_config, training=training, run=run)

    def new_trial(self, book: TrialBook, number: int) -> TrialRecord:
        """A trial of the search, or the repeat that has this number."""
        repeats, seed_index = number % REPEATS_APART, number // REPEATS_APART
        seed = self.trial_config.training.seed + seed_index
        if seed_index:
            parameters = book.trials[repeats].parameters
            return TrialRecord(number=number, kind="repeat", parameters=parameters, seed=seed, repeats=repeats)
        parameters = suggest(
            self.job.space, self.options.sampler, seed=self.options.seed, number=number, others=book.of("search")
        )
        return TrialRecord(number=number, kind="search", parameters=parameters, seed=seed)

    def repeats_of(self, trial: TrialRecord) -> list[int]:
        return [trial.number + REPEATS_APART * (index + 1) for index in range(self.options.num_seeds)]


def settle_sweep(job: SweepJob, home: Path) -> Sweep:
    """Raises ValueError for what cannot be swept, or does not go on with the sweep of that name."""
    options, recipe = job.sweep, job.recipe
    storage_uri = storage.resolve_uri(options.storage or str(home / "sweeps"))
    uri = storage.join(storage_uri, options.name or job.search)
    if storage.exists(storage.join(uri, RECORD)):
        raise ValueError(f"{uri} is a run; accepted is another --sweep.name, or another --sweep.storage")
    check_recipe(recipe)
    config = replace(
        recipe,
        training=replace(recipe.training, num_epochs=options.num_trial_epochs or recipe.training.num_epochs),
        validation=replace(recipe.validation, each_in_turn=True),
        run=replace(recipe.run, name="trial", storage=storage.join(uri, "runs")),
    )
    run = settle(config, home)
    video_indices = videos_of_trials(run.dataset, run.config, options)
    stream = plan_stream(run.config, run.dataset, run.uri, video_indices)
    check_requirements(run.config, run.dataset, stream)
    check_labels(run.dataset, run.config, video_indices)
    shared_clips = plan_shared_clips(storage_uri, run.dataset, run.config, options, stream)
    if shared_clips is not None:
        check_clips_stay(run.config, job.space)
    sweep = Sweep(
        job=job,
        uri=uri,
        home=home,
        tracking_uri=run.tracking_uri,
        trial_config=replace(run.config, tracking=replace(run.config.tracking, uri=run.tracking_uri)),
        dataset=run.dataset,
        video_indices=video_indices,
        shared_clips=shared_clips,
        num_samples_per_trial=stream.plan.num_steps * stream.plan.global_batch_size,
    )
    check_same_sweep(sweep)
    return sweep


def check_recipe(recipe: PretrainConfig) -> None:
    low, high = recipe.scaling.worker_range
    if low != high:
        raise ValueError(
            f"scaling.num_workers is {recipe.scaling.num_workers!r}; accepted in a sweep is one number: a trial that "
            "grows would take the room of others"
        )
    if recipe.validation.objective is None:
        raise ValueError(
            "validation.protocol is 'none', and trials are compared by what validation finds; accepted in a sweep are "
            "knn and retrieval"
        )


def check_labels(dataset: ShardedDataset, config: PretrainConfig, video_indices: Any) -> None:
    if not is_labelled(choose_validation_videos(dataset, video_indices, config.validation.max_num_videos)):
        raise ValueError(
            f"{dataset.uri} has too few labels to compare trials by {config.validation.objective}; accepted are two "
            "classes or more, of two sources each or more, among the videos that are trained on"
        )


def check_same_sweep(sweep: Sweep) -> None:
    """Raises ValueError where the sweep of this name looks for something else. More trials, seeds and repeats than
    before are the same sweep."""
    record_uri, now = storage.join(sweep.uri, SWEEP_RECORD), identity(sweep)
    if not storage.exists(record_uri):
        return
    before = storage.read_json(record_uri)
    changed = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*now, *before})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ValueError(
            f"the sweep {sweep.uri} was begun otherwise: {'; '.join(changed)}. Accepted is the same command, or "
            "another --sweep.name"
        )


def identity(sweep: Sweep) -> dict[str, Any]:
    """What makes trials comparable with each other."""
    settings = {
        key: value for key, value in flatten(sweep.trial_config).items() if not key.startswith((*MAY_CHANGE, "recipe"))
    }
    entries = {
        **settings,
        **{f"space.{key}": space.to_json() for key, space in sweep.job.space.items()},
        "recipe": sweep.job.recipe.recipe,
        "objective": sweep.trial_config.validation.objective,
        "validation.max_num_videos": sweep.trial_config.validation.max_num_videos,
        "sweep.sampler": sweep.options.sampler,
        "sweep.seed": sweep.options.seed,
        "sweep.num_videos": sweep.options.num_videos,
        "sweep.num_packed_samples": sweep.options.num_packed_samples or None,
        "dataset_sha256": sweep.dataset.description.manifest_sha256,
    }
    return json.loads(json.dumps(entries))  # as it comes back from the record


def num_trials_at_once(budget: Budget, wanted: int | None, num_trials: int) -> int:
    """As many as fit into the cluster, or `wanted`. Raises BudgetError, with the table, where those do not fit."""
    if wanted is not None:
        of_trials(budget, min(wanted, num_trials)).check()
        return min(wanted, num_trials)
    return max((count for count in range(1, num_trials + 1) if fits(of_trials(budget, count))), default=1)


def fits(budget: Budget) -> bool:
    try:
        budget.check()
    except BudgetError:
        return False
    return True


def of_trials(budget: Budget, count: int) -> Budget:
    claims = tuple(replace(claim, count=claim.count * count) for claim in budget.claims)
    return replace(
        budget,
        claims=claims,
        accepted="fewer trials at once (--sweep.max-concurrent-trials, none counts those that fit), less for each "
        "(--scaling.num-workers, --scaling.cpus-per-worker, --scaling.cpus-per-decode-task, --validation.num-cpus), "
        "or a larger cluster",
    )
