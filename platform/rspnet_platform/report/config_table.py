"""A run's config by dotted keys, and what of it differs from its recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rspnet_platform.tracking.redaction import redact_values
from rspnet_platform.visualise.page_shell import render_fragment

SETTLED = ("run.name", "run.storage", "tracking.uri", "data.version")
"""Every run fills these in: they differ from any recipe, and tell nothing of the method."""


@dataclass(frozen=True, kw_only=True)
class ConfigRow:
    """`recipe_value` is None where the run does as its recipe says, or where the recipe is not known."""

    key: str
    value: str
    recipe_value: str | None


def config_rows(config: Mapping[str, Any], recipe: Mapping[str, Any] | None) -> list[ConfigRow]:
    """Sorted by key, without secrets."""
    values = redact_values(config)
    usual = redact_values(recipe or {})
    return [
        ConfigRow(key=key, value=values[key], recipe_value=usual[key] if _differs(config, recipe, key) else None)
        for key in sorted(values)
    ]


def render_config(rows: Sequence[ConfigRow], recipe_name: str, *, is_recipe_known: bool) -> Markup:
    return render_fragment(
        "config.html.jinja",
        "rspnet_platform.report",
        rows=rows,
        recipe_name=recipe_name,
        is_recipe_known=is_recipe_known,
        num_changed=sum(row.recipe_value is not None for row in rows),
    )


def _differs(config: Mapping[str, Any], recipe: Mapping[str, Any] | None, key: str) -> bool:
    return recipe is not None and key in recipe and key not in SETTLED and _plain(config[key]) != _plain(recipe[key])


def _plain(value: Any) -> Any:
    """JSON knows lists alone."""
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value
