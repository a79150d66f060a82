"""The numbers of an evaluation: as JSON with the protocol beside each, as MLflow's metrics, and for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_platform.inference.frozen_evaluation_scores import DRAW_STD, Score
from rspnet_platform.inference.seed_spread import sample_deviation


@dataclass(frozen=True, kw_only=True)
class ProtocolResult:
    """The encoder's score under one protocol beside those of random encoders; `stamp` is all that decides them.
    `damaged` are the labelled videos that could not be read: video_index, video_id, error."""

    stamp: str
    score: Score
    random: Sequence[Score]
    damaged: Sequence[Mapping[str, Any]] = ()

    def random_numbers(self, name: str) -> np.ndarray:
        return np.array([score.numbers[name] for score in self.random])

    def random_deviation(self, name: str) -> float | None:
        return sample_deviation(self.random_numbers(name).tolist())

    def to_json(self) -> dict[str, Any]:
        return {
            "protocol": self.stamp,
            "metrics": dict(self.score.numbers),
            "random": {
                name: {
                    "mean": float(self.random_numbers(name).mean()),
                    "std": self.random_deviation(name),
                    "values": self.random_numbers(name).tolist(),
                }
                for name in self.score.numbers
            },
            "num_damaged_videos": len(self.damaged),
            **self.score.notes,
        }


def metrics(results: Mapping[str, ProtocolResult]) -> dict[str, float]:
    """`evaluation/retrieval_top1`, and `evaluation/random/retrieval_top1` with `..._std` for the mean over the random
    encoders and, with two or more, the sample's standard deviation (n - 1), ..."""
    found: dict[str, float] = {}
    for protocol, result in results.items():
        for name, value in result.score.numbers.items():
            key = f"{protocol}_{name}"
            found[f"evaluation/{key}"] = value
            found[f"evaluation/random/{key}"] = float(result.random_numbers(name).mean())
            if (deviation := result.random_deviation(name)) is not None:
                found[f"evaluation/random/{key}_std"] = deviation
    return found


def table(results: Mapping[str, ProtocolResult], title: str, num_random: int) -> str:
    """One line a number, and what it is a number of below."""
    seeds = "one seed" if num_random == 1 else f"{num_random} seeds: mean ± the sample's deviation (n - 1)"
    lines = [title, f"  {'protocol':<28}{'number':<18}{'encoder':>9}   random, {seeds}"]
    for protocol, result in results.items():
        shown = protocol
        for name, value in result.score.numbers.items():
            if name.endswith(DRAW_STD):
                continue
            spread = result.score.numbers.get(f"{name}_{DRAW_STD}")
            random = result.random_numbers(name)
            deviation = result.random_deviation(name)
            beside = f"{random.mean():>8.1%}" + ("" if deviation is None else f" ± {deviation:.1%}")
            draws = "" if spread is None else f"   (± {spread:.1%} over draws)"
            lines.append(f"  {shown:<28}{name:<18}{value:>9.1%}  {beside}{draws}")
            shown = ""
        skipped = result.score.notes.get("skipped_k")
        if isinstance(skipped, list) and skipped:
            lines.append(f"  {shown:<28}fewer videos than k = {', '.join(map(str, skipped))}")
        if result.damaged:
            lines.append(f"  {'':<28}without {len(result.damaged)} damaged videos")
    lines += [f"  {protocol}: {result.stamp}" for protocol, result in results.items()]
    return "\n".join(lines)
