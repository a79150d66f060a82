"""Ray Train's `fit`, with errors that say what to do, and through the death of its controller."""

from collections.abc import Callable

import ray.train
from ray.exceptions import ActorDiedError
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError

from rspnet_platform.command_line import say
from rspnet_platform.train.checkpoint_list import delete_unlisted_checkpoints, mend_checkpoint_list
from rspnet_platform.train.failure_notice import storage_error_in, summary
from rspnet_platform.train.reservation import give_back


def fit_to_the_end(new_trainer: Callable[[], TorchTrainer], run_uri: str, max_failures: int) -> ray.train.Result:
    """Fits a new trainer, and another one from the run's last checkpoint each time that the controller dies: Ray Train
    starts all others anew, but not this actor, on which they hang. With the errors of `fit`, and RuntimeError after
    `max_failures` such deaths.
    """
    for num_deaths in range(1, max_failures + 2):
        mend_checkpoint_list(run_uri)  # the controller may have died while it wrote that
        delete_unlisted_checkpoints(run_uri)
        try:
            return fit(new_trainer())
        except ActorDiedError as error:
            died = f"Ray Train's controller died: {summary(error)}"
            if num_deaths > max_failures:
                raise RuntimeError(f"{died} (death {num_deaths}; the same command goes on)") from error
            say(f"{died} Going on from the last checkpoint")
            give_back(run_uri)
    raise AssertionError("the last attempt returns or raises")


def fit(trainer: TorchTrainer) -> ray.train.Result:
    """Raises TrainingFailedError when Ray Train has given up, StorageError when a store stays away, and what the loop
    returns as its reason to stop before the end."""
    try:
        result = trainer.fit()
    except TrainingFailedError as error:
        if (storage_error := storage_error_in([error])) is not None:
            raise storage_error from error
        raise
    if result.return_value is not None:
        raise result.return_value
    return result
