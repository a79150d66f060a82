"""The benchmark's table as Markdown and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rspnet_platform.benchmark.encoder_scores import EncoderScores
from rspnet_platform.benchmark.summary import Column, Row, headlines


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What the table is of, in words for a person. `stamps`: of each kind's protocols; `stopped`: runs that are not in
    the table, and why."""

    name: str
    dataset: str
    budget: str
    stamps: Mapping[str, Mapping[str, str]]
    stopped: Mapping[str, str]
    num_damaged: int


def markdown(rows: Sequence[Row], heading: Heading) -> str:
    """One table of each protocol's first number and the cost, and one with all numbers of each protocol."""
    num_seeds = sorted({row.num_seeds for row in rows})
    lines = [
        f"# {heading.name}",
        "",
        f"{heading.dataset}. {heading.budget}.",
        "",
        f"Percent; mean ± standard deviation; seeds: {' or '.join(map(str, num_seeds))}. `*`: every seed, of two or "
        "more, is above every random initialisation.",
        "",
        *_grid(rows, headlines(rows), with_cost=True),
    ]
    if heading.stopped:
        lines += ["", "Not in the table, because they stopped before the end:", ""]
        lines += [f"- {name}: {reason}" for name, reason in heading.stopped.items()]
    if heading.num_damaged:
        lines += ["", f"Without {heading.num_damaged} labelled videos that are damaged."]
    for protocol in dict.fromkeys(protocol for protocol, _ in rows[0].cells):
        lines += ["", f"## {protocol}", "", *_stamp_lines(protocol, heading.stamps), ""]
        lines += _grid(rows, [column for column in rows[0].cells if column[0] == protocol], with_cost=False)
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row], shown: Sequence[Column], *, with_cost: bool) -> list[str]:
    of_one_protocol = len({protocol for protocol, _ in shown}) == 1 and not with_cost
    titles = [name if of_one_protocol else f"{protocol} {name}" for protocol, name in shown]
    titles = ["pretraining", *titles, *(["steps", "clips", "minutes"] if with_cost else [])]
    lines = ["| " + " | ".join(titles) + " |", "|---|" + "---:|" * (len(titles) - 1)]
    for row in rows:
        cells = [row.cells[column].text if column in row.cells else "" for column in shown]
        lines.append("| " + " | ".join([row.name, *cells, *(_cost(row) if with_cost else [])]) + " |")
    return lines


def _cost(row: Row) -> list[str]:
    if row.cost is None:
        return ["0", "0", "0"]
    seconds = row.cost.training_seconds
    return [f"{row.cost.num_steps:,}", f"{row.cost.num_clips:,}", "?" if seconds is None else f"{seconds / 60:.1f}"]


def _stamp_lines(protocol: str, stamps: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One line where all kinds of encoders are asked the same."""
    of_kinds = {kind: of_kind[protocol] for kind, of_kind in stamps.items()}
    if len(set(of_kinds.values())) == 1:
        return [next(iter(of_kinds.values())) + "."]
    return [f"- {kind}: {stamp}" for kind, stamp in of_kinds.items()]


def csv_of(scores: Sequence[EncoderScores]) -> str:
    """A line for each number of each encoder, as a share from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["pretraining", "encoder", "seed", "protocol", "number", "value", "model_sha256"])
    for of in scores:
        for protocol, numbers in of.numbers.items():
            for name, value in numbers.items():
                writer.writerow([of.row, of.encoder, of.seed, protocol, name, value, of.model_sha256])
    return text.getvalue()
