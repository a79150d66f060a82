"""What a run leaves for others: its encoder, in the registry."""

from ray.train import Checkpoint

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform.command_line import say
from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput
from rspnet_platform.inference.encoder_input_of_run import encoder_input_of_run
from rspnet_platform.inference.run_evaluation import Evaluation
from rspnet_platform.provenance import code_commit
from rspnet_platform.run import Run
from rspnet_platform.tracking.promotion import choose_alias, set_alias
from rspnet_platform.tracking.registry import RegisteredModel, register_encoder
from rspnet_platform.train.checkpoints import checkpoint_config, latest_checkpoint
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.training_state import encoder_in

GATE_METRIC = "validation/retrieval_top1"


def final_checkpoint(run: Run) -> Checkpoint:
    """Of a run whose training has ended."""
    checkpoint = latest_checkpoint(run.uri)
    if checkpoint is None:
        raise RuntimeError(f"the run {run.uri} has no checkpoint, though its training has ended")
    return checkpoint


def trained_encoder(run: Run, checkpoint: Checkpoint) -> VideoEncoder:
    return encoder_in(run.config, checkpoint)


def encoder_input(run: Run) -> EncoderInput:
    """How the encoder is shown a whole video: the clips that it was trained on, evenly spaced."""
    return encoder_input_of_run(checkpoint_config(run.config), run.dataset.description.short_side)


def register(
    run: Run, record: RunRecord, encoder: VideoEncoder, evaluation: Evaluation, alias: str | None = None
) -> tuple[RegisteredModel, str]:
    """A new version in the registry, and its alias: `alias`, or without one that which the gate metric gives it,
    champion or challenger."""
    card = EncoderCard(
        encoder=run.config.task.encoder,
        feature_dim=encoder.feature_dim,
        input=encoder_input(run),
        method=run.config.task.task_name,
        protocol=evaluation.protocol,
    )
    tags = {
        "recipe": run.config.recipe,
        "dataset_sha256": run.dataset_sha256,
        "code_commit": code_commit(),
        "run_name": run.name,
    }
    name = run.config.tracking.model_name
    model = register_encoder(run.tracking_uri, record.mlflow_run_id, name, encoder, card, evaluation.metrics, tags)
    reason = "as was asked for"
    if alias is None:
        choice = choose_alias(run.tracking_uri, name, model.version, GATE_METRIC)
        alias, reason = choice.alias, choice.reason
    say(f"registered {name} version {model.version} as {alias}: {reason}")
    set_alias(run.tracking_uri, name, model.version, alias)
    return model, alias
