"""The encoder that all runs of one name begin from, kept beside them: an alias may point elsewhere tomorrow."""

from dataclasses import asdict, dataclass

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import storage
from rspnet_platform.finetune.finetune_config import FinetuneConfig
from rspnet_platform.finetune.recognition_loop_task import write_weights
from rspnet_platform.inference.model_reference import ACCEPTED_REFERENCES, LoadedModel, load_model
from rspnet_platform.tracking.redaction import redact

RECORD, WEIGHTS = "initial_encoder.json", "initial_encoder.safetensors"


@dataclass(frozen=True, kw_only=True)
class InitialEncoder:
    """`is_from_scratch`: of `random:ENCODER`, which each run draws from its own seed."""

    reference: str
    sha256: str
    encoder: str
    normalisation: str
    is_from_scratch: bool

    @classmethod
    def of_model(cls, model: LoadedModel) -> "InitialEncoder":
        return cls(
            reference=model.reference,
            sha256=model.sha256,
            encoder=model.card.encoder,
            normalisation=model.card.input.normalisation,
            is_from_scratch=model.reference == f"random:{model.card.encoder}",
        )

    def weights_uri(self, folder_uri: str) -> str | None:
        """None where there are none."""
        return None if self.is_from_scratch else storage.join(folder_uri, WEIGHTS)


def find_initial_encoder(
    config: FinetuneConfig, folder_uri: str, tracking_uri: str
) -> tuple[InitialEncoder, VideoEncoder | None]:
    """What an earlier start kept in the folder, or the model, and its network where it has to be kept yet. Writes
    nothing. Raises ValueError for another model than before, and what `load_model` raises."""
    if not config.model:
        raise ValueError(f"--model is missing; accepted are {ACCEPTED_REFERENCES}")
    record_uri = storage.join(folder_uri, RECORD)
    if not storage.exists(record_uri):
        model = load_model(config.model, tracking_uri)
        return InitialEncoder.of_model(model), model.encoder
    kept = InitialEncoder(**storage.read_json(record_uri))
    if kept.reference != redact(config.model):
        raise ValueError(
            f"--model is {redact(config.model)!r}, and the runs in {folder_uri} began from {kept.reference!r}; accepted"
            " is the same model, or another --run.name"
        )
    return kept, None


def keep_initial_encoder(initial: InitialEncoder, network: VideoEncoder, folder_uri: str) -> None:
    if (weights_uri := initial.weights_uri(folder_uri)) is not None:
        write_weights(weights_uri, network.state_dict())
    storage.write_json(storage.join(folder_uri, RECORD), asdict(initial))  # last: what it names is there


def check_fits(config: FinetuneConfig, initial: InitialEncoder) -> None:
    """Raises ValueError for a model that is not the recipe's encoder, or that was trained on other colours."""
    task = config.task
    if task.encoder != initial.encoder:
        raise ValueError(
            f"the model {initial.reference} is a {initial.encoder}, and the recipe {config.recipe} is for "
            f"{task.encoder}; accepted is a recipe for it, or --task.encoder {initial.encoder}, which takes these "
            "settings for it"
        )
    if not initial.is_from_scratch and task.normalisation != initial.normalisation:
        raise ValueError(
            f"the model {initial.reference} was trained with the normalisation {initial.normalisation!r}, and "
            f"task.normalisation is {task.normalisation!r}; accepted is --task.normalisation {initial.normalisation}"
        )
