"""Which clips a method compares with which, through which network and head each of them goes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from rspnet_core.pretext.task import PretextTask

SPEED_HEAD, INSTANCE_HEAD = "RSP", "A-VID"
"""By the paper's names: relative speed perception, appearance-focused video instance discrimination."""
CONTRAST_HEAD = "contrast"
"""The one head of a method that contrasts clips."""


@dataclass(frozen=True, kw_only=True)
class ClipNetworks:
    """What one place of a plan's clips goes through. `heads` by their names, the same for all places."""

    name: str
    encoder: nn.Module
    heads: dict[str, nn.Module]


@dataclass(frozen=True, kw_only=True)
class ComparedClips:
    """`networks`: of each place; `pairs`: the places that the loss compares."""

    networks: tuple[ClipNetworks, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def head_names(self) -> tuple[str, ...]:
        return tuple(self.networks[0].heads)


def compared_clips(task: PretextTask, task_name: str, num_clips: int) -> ComparedClips:
    """As the task's own forward compares them: the query by the trained networks, its keys by their momentum copies
    where there are any. Raises ValueError for a method that compares no embeddings, naming those that do."""
    if task_name not in COMPARISONS:
        raise ValueError(
            f"the model was trained by {task_name!r}, which compares no two clips' embeddings, so that there is no "
            f"similarity to map; accepted are {', '.join(COMPARISONS)}"
        )
    networks = COMPARISONS[task_name](task, num_clips)
    return ComparedClips(networks=networks, pairs=tuple((0, place) for place in range(1, num_clips)))


def _rspnet(task: Any, num_clips: int) -> tuple[ClipNetworks, ...]:
    query = ClipNetworks(
        name="query", encoder=task.encoder, heads={SPEED_HEAD: task.speed_head, INSTANCE_HEAD: task.instance_head}
    )
    key_heads = {SPEED_HEAD: task.key_speed_head.network, INSTANCE_HEAD: task.key_instance_head.network}
    return query, *_keys(task.key_encoder.network, key_heads, num_clips)


def _relative_speed(task: Any, num_clips: int) -> tuple[ClipNetworks, ...]:
    query = ClipNetworks(name="anchor", encoder=task.encoder, heads={SPEED_HEAD: task.head})
    if task.has_momentum:
        return query, *_keys(task.key_encoder.network, {SPEED_HEAD: task.key_head.network}, num_clips)
    return query, *_keys(task.encoder, query.heads, num_clips)


def _appearance_instance(task: Any, num_clips: int) -> tuple[ClipNetworks, ...]:
    return _momentum_contrast(task, num_clips, INSTANCE_HEAD)


def _moco(task: Any, num_clips: int) -> tuple[ClipNetworks, ...]:
    return _momentum_contrast(task, num_clips, CONTRAST_HEAD)


def _momentum_contrast(task: Any, num_clips: int, head: str) -> tuple[ClipNetworks, ...]:
    query = ClipNetworks(name="query", encoder=task.encoder, heads={head: task.head})
    return query, *_keys(task.key_encoder.network, {head: task.key_head.network}, num_clips)


def _batch_contrast(task: Any, num_clips: int) -> tuple[ClipNetworks, ...]:
    return tuple(
        ClipNetworks(name=f"clip {place + 1}", encoder=task.encoder, heads={CONTRAST_HEAD: task.head})
        for place in range(num_clips)
    )


def _keys(encoder: nn.Module, heads: dict[str, nn.Module], num_clips: int) -> list[ClipNetworks]:
    return [ClipNetworks(name="key", encoder=encoder, heads=heads)] * (num_clips - 1)


COMPARISONS: dict[str, Callable[[Any, int], tuple[ClipNetworks, ...]]] = {
    "rspnet": _rspnet,
    "relative_speed": _relative_speed,
    "appearance_instance": _appearance_instance,
    "moco": _moco,
    "simclr": _batch_contrast,
    "cvrl": _batch_contrast,
}
"""A new method that compares clips is a function and a line here."""
