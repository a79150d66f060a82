"""The best parameters with the full budget: a run as any other, whose encoder is registered as a challenger."""

from dataclasses import replace
from typing import Any

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.pretraining import finish, train
from rspnet_platform.run import begin, closing_run_on_failure, settle
from rspnet_platform.sweep.dotted_keys import with_parameters
from rspnet_platform.sweep.settled_sweep import Sweep
from rspnet_platform.sweep.trial_record import TrialRecord
from rspnet_platform.tracking.promotion import CHALLENGER
from rspnet_platform.train.launch import WorkerResources, plan_stream
from rspnet_platform.train.run_record import RunRecord

RESULT = "result.json"


def train_winner(
    sweep: Sweep, config: PretrainConfig, trial: TrialRecord, resources: WorkerResources, tags: dict[str, str]
) -> dict[str, Any]:
    """What `jobs/pretrain.py` prints of such a run. A run that has ended is not run again; of other parameters, which
    more trials have found, it has another name."""
    config = with_parameters(config, trial.parameters)
    config = replace(config, run=replace(config.run, name=f"{config.run.name}-of-{trial.name}"))
    run = settle(config, sweep.home)
    result_uri = storage.join(run.uri, RESULT)
    if storage.exists(result_uri):
        return storage.read_json(result_uri)
    record = RunRecord.load(run.uri)
    if record is not None and record.stage != "finished":
        record.check_resumable(run_uri=run.uri, dataset_sha256=run.dataset_sha256, config=flatten(run.config))
    stream = plan_stream(run.config, run.dataset, run.uri)
    record = begin(run, record, tags | {"kind": "final", "trial": str(trial.number)})
    with closing_run_on_failure(run, record):
        if record.stage == "training":
            say(f"{run.name}: {stream.plan.num_steps} steps with the parameters of {trial.name}")
            train(run, record, stream, resources)
            record = record.at("trained")
            record.save(run.uri)
        result = finish(run, record, stream, use_gpu=resources.use_gpu, alias=CHALLENGER)
    storage.write_json(result_uri, result)
    return result
