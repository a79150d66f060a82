"""What a benchmark compares. Imports nothing heavy: a job's `--help` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.frozen_evaluation_config import PROTOCOL_HELP, FrozenEvaluationConfig

RANDOM = "random"
"""A recipe here: encoders as they are initialised. Stands in every table, named or not."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkChoice:
    """Which methods are compared, over how many seeds, by which protocols."""

    recipes: tuple[str, ...]
    """Of jobs/pretrain.py. Random initialisations of the same encoders always stand beside them."""
    num_seeds: int = 3
    """Of each recipe, and as many random initialisations: the seeds 0, 1, ..."""
    protocols: Annotated[tuple[str, ...], tyro.conf.arg(help=PROTOCOL_HELP)] = ("retrieval", "knn", "linear_probe")

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds is {self.num_seeds}; accepted are whole numbers from 1 on")
        if not [name for name in self.recipes if name != RANDOM]:
            raise ValueError(
                f"recipes is {' '.join(self.recipes)!r}; accepted are one or more of jobs/pretrain.py's, whose "
                "encoders are then evaluated as they are initialised, too"
            )
        FrozenEvaluationConfig(model=RANDOM, protocol=self.protocols)  # raises for protocols that do not exist


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """`configs`: by recipe, all with the same changes from the command line. `run.name` and `run.storage` are the
    benchmark's; each of its runs lies in its folder."""

    choice: BenchmarkChoice
    configs: Mapping[str, PretrainConfig]

    def __post_init__(self) -> None:
        check_same_budget(self.configs)

    @property
    def first(self) -> PretrainConfig:
        """For what all have in common."""
        return next(iter(self.configs.values()))

    def of_seed(self, recipe: str, seed: int, *, storage: str) -> PretrainConfig:
        """The run of one recipe and seed, in the folder `storage`."""
        config = self.configs[recipe]
        return replace(
            config,
            training=replace(config.training, seed=seed),
            run=replace(config.run, name=f"{recipe}-seed-{seed}", storage=storage),
        )

    def protocols_of(self, config: PretrainConfig) -> FrozenEvaluationConfig:
        """The questions that this recipe's encoders are asked."""
        return FrozenEvaluationConfig(
            model=f"random:{config.task.encoder}",
            protocol=self.choice.protocols,
            cpus_per_decode_task=config.scaling.cpus_per_decode_task,
            use_gpu=config.scaling.use_gpu,
        )


def check_same_budget(configs: Mapping[str, PretrainConfig]) -> None:
    """Raises ValueError where recipes differ in how many videos they are trained on."""
    budgets = {recipe: config.training.num_epochs for recipe, config in configs.items()}
    if len(set(budgets.values())) > 1:
        raise ValueError(
            "the recipes differ in training.num_epochs: "
            + ", ".join(f"{recipe} {num_epochs}" for recipe, num_epochs in budgets.items())
            + "; accepted is one budget for all: --training.num-epochs N"
        )
