"""Folders named as splits: `train/CLASS`, `CLASS/train`, either below further folders, are not classes."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from rspnet_platform.ingest.split_names import common_split

MAX_NAMES = 5
Folders = tuple[str, ...]
"""A video's, from the root down."""


@dataclass(frozen=True, kw_only=True)
class FolderMeaning:
    """What the folders of a source stand for. `split_level` is the depth of those named as splits, None without any;
    `label_level` of those named as classes."""

    split_level: int | None
    label_level: int

    def split(self, folders: Folders) -> str | None:
        """Of a video in these folders."""
        return None if self.split_level is None or not folders else common_split(folders[self.split_level])

    def label(self, folders: Folders) -> str | None:
        """Of a video in these folders; None where it lies in no class."""
        return folders[self.label_level] if len(folders) > self.label_level else None


def folder_meaning(folders: Set[Folders]) -> FolderMeaning:
    """Splits are where every video in a folder has, at one depth, one that is named as a split: a class of such a name
    has others beside it. The class is the folder above where these differ, or else the one below.

    ValueError for several split folders at the root beside others: neither reading would be right.
    """
    in_folders = {each for each in folders if each}
    depth = min(map(len, in_folders), default=0)
    for level in range(depth):
        names = {each[level] for each in in_folders}
        if all(map(common_split, names)):
            has_classes_above = len({each[:level] for each in in_folders}) > 1 or (
                level > 0 and all(len(each) == level + 1 for each in in_folders)
            )
            return FolderMeaning(split_level=level, label_level=0 if has_classes_above else level + 1)
    _check_root({each[0] for each in in_folders})
    return FolderMeaning(split_level=None, label_level=0)


def notes_about(meaning: FolderMeaning, videos: Sequence[Folders]) -> list[str]:
    """How the folders were understood, where that may not be what was meant."""
    in_folders = [each for each in videos if each]
    if meaning.split_level is not None:
        return _about_splits(meaning, meaning.split_level, in_folders, num_outside=len(videos) - len(in_folders))
    return [*_about_likely_splits(in_folders), *_about_one_class(in_folders)]


def _check_root(names: Set[str]) -> None:
    splits = sorted(name for name in names if common_split(name))
    if len({common_split(name) for name in splits}) > 1:
        raise ValueError(
            f"the source holds folders named as splits, {_listed(splits)}, beside others,"
            f" {_listed(names - set(splits))}; accepted: splits alone (train/CLASS, test/CLASS), classes alone, or a"
            " CSV with columns path, label and split"
        )


def _about_splits(meaning: FolderMeaning, level: int, videos: Sequence[Folders], *, num_outside: int) -> list[str]:
    folders = {each[level] for each in videos}
    splits = ", ".join(f"{name!r} as split {common_split(name)}" for name in sorted(folders))
    labels = {meaning.label(each) for each in videos} - {None}
    where = "above" if meaning.label_level < level else "below"
    classes = f"the {len(labels)} classes are the folders {where}" if labels else "there are no classes"
    outside = f"; {num_outside} videos lie in no folder, and have no split" if num_outside else ""
    return [f"folders are taken: {splits}; {classes}{outside} (a CSV's columns label and split say otherwise)"]


def _about_likely_splits(videos: Sequence[Folders]) -> list[str]:
    """Some videos lie below such folders, and others do not."""
    named = sorted({name for folders in videos for name in folders if common_split(name)})
    if not named:
        return []
    return [
        f"folders named as splits, {_listed(named)}, are not taken as splits: other videos lie in folders beside them"
        " (a CSV's columns label and split say what is what)"
    ]


def _about_one_class(videos: Sequence[Folders]) -> list[str]:
    """As of a source that was named one folder too high."""
    classes, below = {each[0] for each in videos}, {each[1] for each in videos if len(each) > 1}
    if len(classes) != 1 or len(below) < 2:
        return []
    [name] = classes
    return [
        f"all labelled videos are of one class, {name!r}; if the {len(below)} folders in it are the classes, name that"
        " folder as --source"
    ]


def _listed(names: Set[str] | Sequence[str]) -> str:
    shown = ", ".join(map(repr, sorted(names)[:MAX_NAMES]))
    return shown + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
