"""How long each test took to set up, to run and to tear down.

`pytest -p tests.benchmarks.phase_times --phase-times FILE` writes a table of the slowest in Markdown, and what all of
them took together.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

NUM_SLOWEST = 50
PHASES = ("setup", "call", "teardown")


class PhaseTimes:
    """Seconds by test and phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid][report.when] = report.duration

    def table(self) -> str:
        slowest = sorted(self.seconds.items(), key=lambda entry: -sum(entry[1].values()))[:NUM_SLOWEST]
        total = sum(sum(phases.values()) for phases in self.seconds.values())
        lines = [
            f"{len(self.seconds)} tests, {total:.0f} s in them together; the {len(slowest)} slowest:",
            "",
            "| test | " + " | ".join(f"{phase}, s" for phase in PHASES) + " |",
            "|---" * (len(PHASES) + 1) + "|",
        ]
        for name, phases in slowest:
            lines.append(f"| {name} | " + " | ".join(f"{phases.get(phase, 0.0):.1f}" for phase in PHASES) + " |")
        return "\n".join(lines) + "\n"


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--phase-times", help="where the table of the slowest tests goes")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--phase-times") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(PhaseTimes(), "phase_times")


def pytest_unconfigure(config: pytest.Config) -> None:
    times = config.pluginmanager.get_plugin("phase_times")
    if isinstance(times, PhaseTimes):
        Path(str(config.getoption("--phase-times"))).write_text(times.table())
