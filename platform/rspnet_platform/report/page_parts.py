"""Parts of a page that are made one by one: what fails is said in its place, and costs nothing else."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from rspnet_platform.command_line import USER_ERRORS, say
from rspnet_platform.visualise.page_shell import Section

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Report:
    """`html`: one page. `left_out`: of each part that is not on it its name and why."""

    html: str
    left_out: tuple[dict[str, str], ...]


def make_part(name: str, title: str, make: Callable[[], Markup]) -> Section:
    """With the reason in the place of what cannot be made. A fault of ours is said with its traceback too."""
    content, reason = try_to(name, make)
    return (
        Section(name=name, title=title, missing=reason)
        if content is None
        else Section(name=name, title=title, content=content)
    )


def try_to(name: str, make: Callable[[], Made]) -> tuple[Made | None, str]:
    """What was made, or None and why not."""
    try:
        return make(), ""
    except USER_ERRORS as error:
        return None, str(error)
    except Exception as error:
        say(f"the report's part {name!r} could not be made:\n{traceback.format_exc()}")
        return None, f"making it failed ({type(error).__name__}: {error})"


def left_out(sections: list[Section]) -> tuple[dict[str, str], ...]:
    return tuple({"part": section.name, "reason": section.missing} for section in sections if section.missing)
