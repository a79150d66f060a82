"""What all pages of pictures have in common: one HTML file that loads nothing and runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rspnet_platform.ingest.audit import formats

MAX_TEXT_LENGTH, MAX_NAME_LENGTH = 160, 24
NOTHING = Markup("")


@dataclass(frozen=True, kw_only=True)
class Section:
    """`name`: a word, its place on the page. `content` is HTML that a template escaped, or `missing` says why there is
    none."""

    name: str
    title: str
    content: Markup = NOTHING
    missing: str = ""


def render_fragment(template: str, package: str = "rspnet_platform.visualise", **values: Any) -> Markup:
    """Names and labels come from strangers: a template escapes all of them."""
    return Markup(page_environment(package).get_template(template).render(values))


def render_shell(*, overline: str, title: str, sections: Sequence[Section], header: Markup = NOTHING) -> str:
    """The whole page. With two sections or more it has a list of them."""
    values = {"overline": overline, "title": title, "sections": sections, "header": header}
    return page_environment("rspnet_platform.visualise").get_template("shell.html.jinja").render(values)


def page_environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "short": lambda text: formats.shorten(str(text), MAX_TEXT_LENGTH),
        "name": lambda text: formats.shorten(str(text), MAX_NAME_LENGTH),
        "count": lambda number: f"{number:,}",
        "number": format_any,
        "seconds": formats.format_seconds,
        "bytes": formats.format_bytes,
        "percent": lambda share: f"{share:.1%}",
    }
    return environment


def format_any(value: float) -> str:
    """Five digits; a number that is not finite as it is called."""
    return f"{value:,.0f}" if value == value and abs(value) < 1e15 and value == int(value) else f"{value:.5g}"
