"""Which layout a source has, and where its published lists are. Imports nothing heavy: a job's `--help` reads it."""

from dataclasses import dataclass
from typing import Literal, get_args

LayoutName = Literal["auto", "folder", "csv", "ucf101", "hmdb51", "kinetics", "something_something_v2"]
NUM_PUBLISHED_SPLITS = 3

_NEED_ANNOTATIONS = {
    "ucf101": "the folder ucfTrainTestlist",
    "hmdb51": "the folder testTrainMulti_7030_splits",
    "something_something_v2": "the folder of train.json, validation.json and labels.json",
}
_TAKE_ANNOTATIONS = {*_NEED_ANNOTATIONS, "kinetics"}
_TAKE_SPLIT_NUMBER = {"ucf101", "hmdb51"}


@dataclass(frozen=True, kw_only=True)
class SourceLayout:
    """`annotations` is the folder or file of the published lists; `split_number` says which of three splits they
    describe, the first by default."""

    name: LayoutName = "auto"
    annotations: str | None = None
    split_number: int | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(LayoutName):
            raise ValueError(f"layout is {self.name!r}; accepted: {', '.join(get_args(LayoutName))}")
        if self.annotations is not None and self.name not in _TAKE_ANNOTATIONS:
            raise ValueError(
                f"annotations are {self.annotations} with layout {self.name!r}, which has none;"
                f" accepted with {', '.join(sorted(_TAKE_ANNOTATIONS))}"
            )
        if self.annotations is None and self.name in _NEED_ANNOTATIONS:
            raise ValueError(f"layout {self.name!r} needs annotations; accepted: {_NEED_ANNOTATIONS[self.name]}")
        if self.split_number is not None:
            self._check_split_number(self.split_number)

    def _check_split_number(self, split_number: int) -> None:
        if self.name not in _TAKE_SPLIT_NUMBER:
            raise ValueError(
                f"split_number is {split_number} with layout {self.name!r}, whose lists are not numbered;"
                f" accepted with {', '.join(sorted(_TAKE_SPLIT_NUMBER))}"
            )
        if not 1 <= split_number <= NUM_PUBLISHED_SPLITS:
            raise ValueError(f"split_number is {split_number}; accepted: 1 to {NUM_PUBLISHED_SPLITS}")

    @property
    def annotations_path(self) -> str:
        """Of a layout that needs them."""
        assert self.annotations is not None, self
        return self.annotations
