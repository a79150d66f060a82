"""The model registry: models go in with their cards as pyfuncs, and an encoder comes out ready to fine-tune."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rspnet_platform.inference.encoder_card import EncoderCard
from rspnet_platform.inference.weights_checksum import check_weights, weights_sha256
from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.pyfunc_package import PyfuncParts, encoder_outputs, save_pyfunc
from rspnet_platform.tracking.redaction import redact, redact_values

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from rspnet_core.encoders.video_encoder import VideoEncoder

METRIC_TAG_PREFIX = "metric."
WEIGHTS_TAG = "weights_sha256"
_MODEL_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """One version of a registered model."""

    name: str
    version: str
    model_uri: str


def register_encoder(
    tracking_uri: str,
    run_id: str,
    model_name: str,
    encoder: "VideoEncoder",
    card: EncoderCard,
    metrics: Mapping[str, float],
    tags: Mapping[str, object],
) -> RegisteredModel:
    """Stores an encoder as `register_model` does; the card's method and protocol are tags too."""
    from rspnet_platform.inference.encoder_files import save_encoder

    parts = PyfuncParts(
        name="encoder",
        code="encoder_model.py",
        save=lambda folder: save_encoder(folder, encoder, card),
        outputs=lambda: encoder_outputs(card.feature_dim),
    )
    sha256 = weights_sha256(encoder.state_dict())
    tags = {"method": card.method, "protocol": card.protocol, WEIGHTS_TAG: sha256, **tags}
    return register_model(tracking_uri, run_id, model_name, parts, metrics, tags)


def register_model(
    tracking_uri: str,
    run_id: str,
    model_name: str,
    parts: PyfuncParts,
    metrics: Mapping[str, float],
    tags: Mapping[str, object],
) -> RegisteredModel:
    """Stores a new version of `model_name`, linked to its run, or finds the one that an earlier attempt at the same run
    with the same weights has stored. No alias moves.

    Nothing of MLflow's fluent interface is used, so that no run is opened and no global state changed.
    The version's tags are `tags` (protocol, recipe, dataset_sha256, code_commit, ...), which must have the weights'
    `weights_sha256`, and each metric as `metric.NAME`.
    """
    client = tracking_client(tracking_uri)
    if (version := version_of_run(client, run_id, model_name, str(tags[WEIGHTS_TAG]))) is not None:
        return _registered(model_name, str(version.version))
    run = client.get_run(run_id)
    _delete_unregistered(client, run.info.experiment_id, run_id, parts.name)
    logged = client.create_logged_model(run.info.experiment_id, name=parts.name, source_run_id=run_id)
    try:
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
            model_folder = save_pyfunc(Path(folder), run_id, logged.model_id, parts)
            client.log_model_artifacts(logged.model_id, str(model_folder))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    _link_to_run(client, run_id, logged.model_id)
    version_tags = redact_values(tags)
    version_tags |= {METRIC_TAG_PREFIX + name: repr(float(value)) for name, value in metrics.items()}
    # A store without a server would look for models:/ID in the process's default store, not in its own.
    has_server = tracking_uri.startswith(("http://", "https://"))
    source = f"models:/{logged.model_id}" if has_server else logged.artifact_location
    _create_model(client, model_name)
    version = client.create_model_version(model_name, source, run_id, tags=version_tags, model_id=logged.model_id)
    return _registered(model_name, str(version.version))


def version_of_run(client: "MlflowClient", run_id: str, model_name: str, weights_sha256: str) -> "ModelVersion | None":
    """The newest version that holds these weights of this run."""
    found = [
        version
        for version in client.search_model_versions(f"run_id = '{run_id}'")
        if version.name == model_name and version.tags.get(WEIGHTS_TAG) == weights_sha256
    ]
    return max(found, key=lambda version: int(version.version), default=None)


def pull_encoder(model_uri: str, tracking_uri: str) -> tuple["VideoEncoder", EncoderCard]:
    """The encoder of `models:/NAME@ALIAS` or `models:/NAME/VERSION` in training mode, with its card.

    Raises ValueError for a model, alias or version that does not exist, and names those that do; and for weights other
    than those that were registered.
    """
    client = tracking_client(tracking_uri)
    version = find_version(client, model_uri)
    from mlflow.artifacts import download_artifacts

    from rspnet_platform.inference.encoder_files import CARD_NAME, WEIGHTS_NAME, read_card, read_encoder

    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        # Not models:/NAME/VERSION, which MLflow would look up in the process's default registry.
        location = client.get_model_version_download_uri(version.name, version.version)
        artifacts = download_artifacts(f"{location}/artifacts", dst_path=folder, tracking_uri=tracking_uri)
        if not (Path(artifacts) / CARD_NAME).exists():
            raise ValueError(f"{model_uri} is not an encoder: it has no {CARD_NAME}; accepted is a registered encoder")
        card = read_card(Path(artifacts) / CARD_NAME)
        encoder = read_encoder(Path(artifacts) / WEIGHTS_NAME, card)
        if WEIGHTS_TAG in version.tags:  # not the card's alone, which lies beside the weights
            check_weights(encoder.state_dict(), version.tags[WEIGHTS_TAG], model_uri)
        return encoder, card


def find_version(client: "MlflowClient", model_uri: str) -> "ModelVersion":
    """Raises ValueError for a URI of another form, and for what does not exist, naming what does."""
    from mlflow.exceptions import MlflowException

    if (parts := _MODEL_URI.fullmatch(model_uri)) is None:
        raise ValueError(f"model is {redact(model_uri)!r}; accepted are models:/NAME@ALIAS and models:/NAME/VERSION")
    try:
        if parts["alias"]:
            return client.get_model_version_by_alias(parts["name"], parts["alias"])
        return client.get_model_version(parts["name"], parts["version"])
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise ValueError(f"{model_uri} does not exist; {_existing(client, parts['name'])}") from error


def _existing(client: "MlflowClient", name: str) -> str:
    models = list(client.search_registered_models(max_results=100))
    for model in models:
        if model.name == name:
            versions = sorted(int(version.version) for version in client.search_model_versions(f"name = '{name}'"))
            aliases = [f"{alias} -> {version}" for alias, version in sorted(model.aliases.items())]
            return f"{name!r} has versions {versions} and aliases {', '.join(aliases) or 'none'}"
    return f"registered models are: {', '.join(model.name for model in models) or 'none'}"


def _delete_unregistered(client: "MlflowClient", experiment_id: str, run_id: str, name: str) -> None:
    """What an attempt at this run has stored and not registered: it was killed in between."""
    registered = {version.model_id for version in client.search_model_versions(f"run_id = '{run_id}'")}
    stored = client.search_logged_models(
        [experiment_id], filter_string=f"source_run_id = '{run_id}' AND name = '{name}'"
    )
    for model in stored:
        if model.model_id not in registered:
            client.delete_logged_model(model.model_id)


def _link_to_run(client: "MlflowClient", run_id: str, model_id: str) -> None:
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def _create_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _registered(name: str, version: str) -> RegisteredModel:
    return RegisteredModel(name=name, version=version, model_uri=f"models:/{name}/{version}")
