"""The table and the plot of `claims.py`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FACTORS = ("motion", "appearance", "background")


def spreads(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """{method: {factor: (mean, standard deviation over seeds)}}, in the order of the results."""
    methods = list(dict.fromkeys(result["method"] for result in results))
    summary = {}
    for method in methods:
        of_method = [result for result in results if result["method"] == method]
        values = {factor: np.array([result[factor] for result in of_method]) for factor in FACTORS}
        ddof = int(len(of_method) > 1)
        summary[method] = {factor: (v.mean(), v.std(ddof=ddof)) for factor, v in values.items()}
    return summary


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    num_seeds = len({result["seed"] for result in results})
    lines = [
        f"What linear probes find in frozen features of the tiny encoder, {results[0]['num_epochs']} epochs on the",
        f"embedded videos: mean and standard deviation over {num_seeds} seeds, in percent, on test videos. Motion and",
        "appearance are accuracies (chance: 25); background is the share of the variance of its colour.",
        "",
        "| pretraining | motion | appearance | background |",
        "|---|---|---|---|",
    ]
    for method, factors in spreads(results).items():
        cells = [f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in (factors[name] for name in FACTORS)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Motion against appearance: a mean with its deviations for each method, and a small dot for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 5.2), layout="constrained")
    for method, factors in spreads(results).items():
        (x, x_deviation), (y, y_deviation) = factors["motion"], factors["appearance"]
        drawn = axes.errorbar(x, y, xerr=x_deviation, yerr=y_deviation, marker="o", capsize=3)
        seeds = [(result["motion"], result["appearance"]) for result in results if result["method"] == method]
        axes.scatter(*zip(*seeds, strict=True), s=12, alpha=0.6, color=drawn[0].get_color())
        axes.annotate(method, (x, y), xytext=(6, 7), textcoords="offset points")
    axes.set_xlabel("motion: test accuracy of a linear classifier, %")
    axes.set_ylabel("appearance: test accuracy of a linear classifier, %")
    axes.axvline(25, color="0.7", linewidth=0.8)
    axes.axhline(25, color="0.7", linewidth=0.8)
    axes.set(xlim=(20, 90), ylim=(20, 90))
    axes.grid(alpha=0.2)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
