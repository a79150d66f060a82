"""Makes pictures of what was learnt: `python jobs/visualize.py PART ...`; without a part, lists them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_config, run_job
from rspnet_platform.visualise.parts import PARTS, Part


@dataclass(frozen=True, kw_only=True)
class Command:
    """A part and what it was asked for."""

    part: Part
    config: Any


def parse(arguments: Sequence[str]) -> Command:
    """Raises ValueError for a part that does not exist. `--help` alone lists the parts and ends the process."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: visualize.py PART ...\n\n{__doc__}\nParts (PART --help tells more):\n")
        print("\n".join(f"  {name:<18}{first_line(part)}" for name, part in PARTS.items()))
        sys.exit(0 if arguments else 2)
    name = arguments[0].replace("-", "_")
    if name not in PARTS:
        raise ValueError(f"there is no part {arguments[0]!r}; accepted are {', '.join(PARTS)}")
    part = PARTS[name]
    description = str(part.config_type.__doc__)
    config = parse_config(part.config_type, arguments[1:], program=f"visualize.py {name}", description=description)
    return Command(part=part, config=config)


def first_line(part: Part) -> str:
    return str(part.config_type.__doc__).strip().splitlines()[0]


def work(command: Command) -> Mapping[str, Any]:
    from pkgutil import resolve_name

    return resolve_name(command.part.function)(command.config)  # torch and Ray: --help need not wait for them


if __name__ == "__main__":
    run_job(parse, work, goes_on=False)
