"""Which version of a registered model is the champion, and by what rule a new one takes its place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.registry import METRIC_TAG_PREFIX, RegisteredModel, find_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
COMPARED_TAGS = ("dataset_sha256", "protocol")
"""Metrics compare only where these are equal and known."""


@dataclass(frozen=True, kw_only=True)
class AliasChoice:
    """The alias that a version deserves, and why, in a sentence."""

    alias: Literal["champion", "challenger"]
    reason: str


def choose_alias(tracking_uri: str, model_name: str, version: str, gate_metric: str) -> AliasChoice:
    """Champion if there is none, or if it wins by the gate metric on the same data and protocol.

    Nothing is changed: `set_alias` does that. Raises ValueError for a version that does not exist.
    """
    client = tracking_client(tracking_uri)
    candidate = find_version(client, f"models:/{model_name}/{version}")
    champion_version = client.get_registered_model(model_name).aliases.get(CHAMPION)
    if champion_version is None:
        return AliasChoice(alias=CHAMPION, reason=f"{model_name!r} has no champion yet")
    if str(champion_version) == str(version):
        return AliasChoice(alias=CHAMPION, reason=f"version {version} is the champion already")
    champion = client.get_model_version(model_name, str(champion_version))
    return compare(candidate.tags, champion.tags, f"the champion, version {champion_version}", gate_metric)


def compare(
    candidate: Mapping[str, str], champion: Mapping[str, str], champion_name: str, gate_metric: str
) -> AliasChoice:
    """The rule, on the tags of two versions. A metric that is missing, NaN or only equal wins nothing."""
    for tag in COMPARED_TAGS:
        ours, theirs = candidate.get(tag, ""), champion.get(tag, "")
        if ours != theirs or not ours:
            reason = f"{tag} is {ours or 'unknown'!r}, that of {champion_name} is {theirs or 'unknown'!r}"
            return AliasChoice(alias=CHALLENGER, reason=f"{reason}: their metrics do not compare")
    ours, theirs = (float(tags.get(METRIC_TAG_PREFIX + gate_metric, "nan")) for tags in (candidate, champion))
    if math.isnan(ours):
        return AliasChoice(alias=CHALLENGER, reason=f"it has no {gate_metric} to compare")
    if math.isnan(theirs):
        return AliasChoice(alias=CHALLENGER, reason=f"{champion_name} has no {gate_metric} to compare with")
    verdict = "beats" if ours > theirs else "does not beat"
    return AliasChoice(
        alias=CHAMPION if ours > theirs else CHALLENGER,
        reason=f"{gate_metric} {ours:.4f} {verdict} {theirs:.4f} of {champion_name}",
    )


def set_alias(tracking_uri: str, model_name: str, version: str, alias: str) -> RegisteredModel:
    """Moves an alias to a version; a new champion is challenger no more. ValueError if it does not exist."""
    client = tracking_client(tracking_uri)
    find_version(client, f"models:/{model_name}/{version}")
    return _set_alias(client, model_name, version, alias)


def promote(tracking_uri: str, model_name: str, version_or_alias: str) -> RegisteredModel:
    """Makes a version the champion, whatever its metrics. Raises ValueError if it does not exist."""
    client = tracking_client(tracking_uri)
    separator = "/" if version_or_alias.isdecimal() else "@"
    version = find_version(client, f"models:/{model_name}{separator}{version_or_alias}")
    return _set_alias(client, model_name, str(version.version), CHAMPION)


def _set_alias(client: "MlflowClient", model_name: str, version: str, alias: str) -> RegisteredModel:
    client.set_registered_model_alias(model_name, alias, version)
    challenger = client.get_registered_model(model_name).aliases.get(CHALLENGER)
    if alias == CHAMPION and challenger is not None and str(challenger) == str(version):
        client.delete_registered_model_alias(model_name, CHALLENGER)
    return RegisteredModel(name=model_name, version=version, model_uri=f"models:/{model_name}@{alias}")
