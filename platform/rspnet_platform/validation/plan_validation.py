"""What a run validates its checkpoints on, settled before anything starts."""

from dataclasses import replace

from rspnet_platform.config import PretrainConfig
from rspnet_platform.cpu_threads import num_cores_for_one_of
from rspnet_platform.inference.encoder_input_of_run import encoder_input_of_run
from rspnet_platform.run import VALIDATION_OUTBOX, Run, outbox_uri
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.checkpoints import checkpoint_config
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.validation.checkpoint_validator import CheckpointValidator
from rspnet_platform.validation.run_validation import RunValidation
from rspnet_platform.validation.validation_ledger import ValidationLedger
from rspnet_platform.validation.validation_listener import ValidationListener
from rspnet_platform.validation.validation_tracking import ValidationTracking
from rspnet_platform.validation.validation_turns import ValidationTurns
from rspnet_platform.validation.validation_videos import ValidationVideo, choose_validation_videos, is_labelled


def videos_of(run: Run[PretrainConfig], stream: TrainingStream) -> tuple[ValidationVideo, ...]:
    """Raises ValueError where the best encoder is to be registered, and nothing tells which that is."""
    options = run.config.validation
    videos = choose_validation_videos(run.dataset, stream.plan.video_indices, options.max_num_videos)
    if options.registers == "best" and not is_labelled(videos):
        raise ValueError(
            "validation.registers is 'best', and the videos that are trained on cannot tell which is: accepted is "
            "'last', or a data set with labels, of two classes or more with videos of two sources each"
        )
    return videos


def plan_validation(
    run: Run[PretrainConfig],
    record: RunRecord,
    stream: TrainingStream,
    listeners: tuple[ValidationListener, ...],
    *,
    in_process: bool = False,
) -> RunValidation:
    """`in_process`: training waits for it, so that it has all cores."""
    options, ledger = run.config.validation, ValidationLedger.of_run(run.uri)
    videos = videos_of(run, stream)
    validator = CheckpointValidator(
        config=run.config,
        dataset_uri=run.dataset.uri,
        description=run.dataset.description,
        videos=videos,
        encoder_input=replace(
            encoder_input_of_run(checkpoint_config(run.config), run.dataset.description.short_side),
            num_clips=options.num_clips,
        ),
        ledger=ledger,
        tracking=ValidationTracking(
            tracking_uri=run.tracking_uri, run_id=record.mlflow_run_id, outbox=outbox_uri(run, VALIDATION_OUTBOX)
        ),
        listeners=listeners,
        num_cores=num_cores_for_one_of(1) if in_process else None,
    )
    turns = ValidationTurns(
        score=options.objective if is_labelled(videos) else None,
        every_num_steps=run.config.training.checkpoint_every_num_steps * options.every_num_checkpoints,
        each_in_turn=options.each_in_turn,
        ledger=ledger,
    )
    return RunValidation(validate=validator, turns=turns, num_cpus=options.num_cpus, num_gpus=options.num_gpus)
