"""The numbers of an evaluation: as JSON with the protocol beside each, as MLflow's metrics, and for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_platform.inference.frozen_evaluation_scores import DRAW_STD, Score


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

    def to_json(self) -> dict[str, Any]:
        return {
            "protocol": self.stamp,
            "metrics": dict(self.score.numbers),
            "random": {
                name: {
                    "mean": float(self.random_numbers(name).mean()),
                    "std": float(self.random_numbers(name).std()),
                    "values": self.random_numbers(name).tolist(),
                }
                for name in self.score.numbers
            },
            "num_damaged_videos": len(self.damaged),
            **self.score.notes,
        }


def metrics(results: Mapping[str, ProtocolResult]) -> dict[str, float]:
    """`evaluation/retrieval_top1`, and `evaluation/random/retrieval_top1` with `..._std` for mean and standard
    deviation over the random encoders, ..."""
    found: dict[str, float] = {}
    for protocol, result in results.items():
        for name, value in result.score.numbers.items():
            key = f"{protocol}_{name}"
            found[f"evaluation/{key}"] = value
            found[f"evaluation/random/{key}"] = float(result.random_numbers(name).mean())
            found[f"evaluation/random/{key}_std"] = float(result.random_numbers(name).std())
    return found


def table(results: Mapping[str, ProtocolResult], title: str, num_random: int) -> str:
    """One line a number, and what it is a number of below."""
    lines = [title, f"  {'protocol':<28}{'number':<18}{'encoder':>9}   random, {num_random} seeds"]
    for protocol, result in results.items():
        shown = protocol
        for name, value in result.score.numbers.items():
            if name.endswith(DRAW_STD):
                continue
            spread = result.score.numbers.get(f"{name}_{DRAW_STD}")
            random = result.random_numbers(name)
            beside = f"{random.mean():>8.1%} ± {random.std():.1%}"
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
