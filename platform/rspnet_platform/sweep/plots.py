"""A sweep's pictures: all trials across all parameters, each parameter alone, and which of them matters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rspnet_platform.sweep.dotted_keys import shown
from rspnet_platform.sweep.spaces import Choice, LogUniform, Space
from rspnet_platform.sweep.suggestions import token_of
from rspnet_platform.sweep.summary import Row

MARKERS = {"finished": "o", "stopped early": "v", "diverged": "x", "collapsed": "X"}
COLOURS = "viridis"
NUM_TRIALS_TO_TRUST = 50
"""A dozen trials, or one of them that diverged, make any parameter look important."""


def draw_all(
    rows: Sequence[Row], space: Mapping[str, Space], shares: Mapping[str, float], objective: str, folder: Path
) -> list[Path]:
    """As SVG and PNG; nothing where no trial has a score."""
    scored = [row for row in rows if row.trial.value is not None]
    if not scored:
        return []
    figures = {
        "parallel_coordinates": parallel_coordinates(scored, space, objective),
        "effects": effects(scored, space, objective),
    }
    if shares:
        figures["importance"] = importance(shares, len(scored), objective)
    paths = [folder / f"{name}.{kind}" for name in figures for kind in ("svg", "png")]
    for path in paths:
        figures[path.stem].savefig(path, dpi=120)
    return paths


def parallel_coordinates(rows: Sequence[Row], space: Mapping[str, Space], objective: str) -> Figure:
    """A line for each trial, the better the brighter and the further in front; dashed where it did not end whole."""
    names = [*space, objective]
    figure = Figure(figsize=(2.6 * len(names) + 1.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    scores = np.array([row.trial.value for row in rows], dtype=float)
    low, high = bounds(scores)
    colours = ScalarMappable(Normalize(low, high), COLOURS)
    for order in np.argsort(scores, kind="stable"):
        trial = rows[order].trial
        heights = [height(space[key], trial.parameters[key]) for key in space]
        heights.append(float(scores[order] - low) / (high - low))
        style = "-" if trial.state == "finished" else "--"
        colour = colours.to_rgba(scores[order])
        axes.plot(range(len(names)), heights, style, color=colour, linewidth=1.6, marker=".")
    for place, name in enumerate(names):
        axes.axvline(place, color="0.6", linewidth=0.8, zorder=0)
        label_axis(axes, place, ticks_of(space[name]) if name in space else number_ticks(low, high))
    axes.set(xticks=range(len(names)), yticks=[], xlim=(-0.15, len(names) - 0.55), ylim=(-0.06, 1.06))
    axes.set_xticklabels([name.replace(".", ".\n") for name in names])
    axes.spines[:].set_visible(False)
    axes.set_title("Each line a trial; dashed: stopped early, diverged or collapsed", fontsize=10)
    figure.colorbar(colours, ax=axes, label=objective, pad=0.02)
    return figure


def label_axis(axes: Axes, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    for tick, text in ticks:
        axes.annotate(
            text,
            (place, tick),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
        )


def effects(rows: Sequence[Row], space: Mapping[str, Space], objective: str) -> Figure:
    """Each parameter alone against the score; repeats with their spread, and the random initialisation's score."""
    figure = Figure(figsize=(3.9 * len(space) + 0.6, 4.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(space), sharey=True))
    for panel, key in zip(panels, space, strict=True):
        for state, marker in MARKERS.items():
            of_state = [row for row in rows if row.trial.state == state]
            if of_state:
                x = [token_of(space[key], row.trial.parameters[key]) for row in of_state]
                panel.scatter(x, [row.trial.value for row in of_state], marker=marker, label=state, s=36, alpha=0.8)
        repeated = [row for row in rows if row.repeats]
        if repeated:
            x = [token_of(space[key], row.trial.parameters[key]) for row in repeated]
            means, spreads = [row.repeated_mean for row in repeated], [row.repeated_std or 0.0 for row in repeated]
            panel.errorbar(x, means, yerr=spreads, fmt="D", color="k", capsize=4, label="repeats, mean and spread")
        random = {row.random for row in rows if row.random is not None}
        if random:
            panel.axhline(float(np.mean(list(random))), color="0.5", linestyle=":", label="random initialisation")
        scale_x(panel, space[key])
        panel.set_xlabel(key)
    panels[0].set_ylabel(objective)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    return figure


def scale_x(panel: Axes, space: Space) -> None:
    if isinstance(space, LogUniform):
        panel.set_xscale("log")
        ticks = [space.at(fraction / 4) for fraction in range(5)]
        panel.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        panel.minorticks_off()
    elif isinstance(space, Choice):
        panel.set_xticks(range(len(space.values)), [shown(value) for value in space.values], rotation=30, ha="right")
        panel.set_xlim(-0.5, len(space.values) - 0.5)


def importance(shares: Mapping[str, float], num_trials: int, objective: str) -> Figure:
    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(6.4, 1.4 + 0.5 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(names, [shares[name] for name in names], color="tab:blue")
    axes.bar_label(bars, labels=[f"{shares[name]:.0%}" for name in names], padding=3)
    axes.set(xlim=(0, 1.12), xlabel=f"share of the differences in {objective}")
    rough = ", rough for so few" if num_trials < NUM_TRIALS_TO_TRUST else ""
    axes.set_title(f"Importance over {num_trials} trials (functional ANOVA{rough})", fontsize=10)
    return figure


def height(space: Space, value: Any) -> float:
    """The value's place on its axis, from 0 to 1."""
    if isinstance(space, Choice):
        return token_of(space, value) / max(len(space.values) - 1, 1)
    if isinstance(space, LogUniform):
        return float(np.log(value / space.low) / np.log(space.high / space.low))
    return (value - space.low) / (space.high - space.low)


def ticks_of(space: Space) -> list[tuple[float, str]]:
    values = space.values if isinstance(space, Choice) else [space.at(fraction / 4) for fraction in range(5)]
    return [(height(space, value), shown(value)) for value in values]


def number_ticks(low: float, high: float) -> list[tuple[float, str]]:
    return [(tick, f"{low + tick * (high - low):.3f}") for tick in np.linspace(0, 1, 5)]


def bounds(scores: np.ndarray) -> tuple[float, float]:
    low, high = float(scores.min()), float(scores.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
