"""A job's manners: recipe first, dotted keys, messages on stderr, one JSON object as the last line of stdout."""

import atexit
import codecs
import json
import locale
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import tyro

from rspnet_platform.stop_requests import STOP_REQUESTS, stop_message
from rspnet_platform.tracking.redaction import redact

Config = TypeVar("Config")

STARTED_SECONDS = time.monotonic()
"""When this was imported: each job does so first of all."""


class UserError(Exception):
    """What went wrong, for the person who started the job: the message says what to do."""


USER_ERRORS = (UserError, ValueError, OSError)
"""What a user can mend: shown as one message, without a traceback. Everything else is ours."""


def run_job(
    parse_arguments: Callable[[Sequence[str]], Config],
    work: Callable[[Config], Mapping[str, Any]],
    *,
    goes_on: bool = True,
) -> None:
    """Runs `work` on what `parse_arguments` makes of the command line, and ends the process: status 0 with the result
    as JSON, 1 with what went wrong, 130 for Ctrl-C or 143 for SIGTERM. `goes_on`: the same command goes on after those.

    While it works, all other output of this process goes to standard error, also what native libraries and forwarded
    workers print: the result must be the last line, and alone.
    """
    use_utf8()
    STOP_REQUESTS.handle_signals()
    try:
        config = parse_arguments(sys.argv[1:])
    except BrokenPipeError:  # `--help | head`
        os._exit(1)
    except KeyboardInterrupt as stop:
        end_stopped(stop, goes_on=False)
    except USER_ERRORS as error:
        sys.exit(f"error: {redact(str(error))}")
    sys.stdout.flush()
    say_step("loading the job")
    result_descriptor = os.dup(1)
    os.dup2(2, 1)
    try:
        result = work(config)
    except (KeyboardInterrupt, SystemExit) as stop:
        end_stopped(stop, goes_on=goes_on)
    except Exception as error:
        if not isinstance(error, USER_ERRORS) or os.environ.get("RSPNET_TRACEBACK"):
            say(traceback.format_exc())
        sys.exit(f"error: {redact(str(error))}")
    sys.stderr.flush()
    os.write(result_descriptor, (json.dumps(result) + "\n").encode())


def use_utf8() -> None:
    """Starts this process anew where the locale asks for another encoding: names of files and classes would be garbled,
    here and in every process that the job starts."""
    if codecs.lookup(locale.getencoding()).name != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def end_stopped(stop: BaseException, *, goes_on: bool) -> NoReturn:
    """Says what is next, and ends the process without waiting for threads that were broken off."""
    if isinstance(stop, SystemExit):
        if stop.code != signal.SIGTERM:
            raise stop
        STOP_REQUESTS.signal_number = signal.SIGTERM  # as Ray takes it, while it starts
    say(stop_message(stop, goes_on=goes_on))
    # A thread in the middle of an import, say, fails while what it imports takes its leave.
    threading.excepthook = lambda _: None
    atexit._run_exitfuncs()
    os._exit(STOP_REQUESTS.exit_status)


def parse_config(
    config_type: Callable[..., Config], arguments: Sequence[str], *, program: str, description: str
) -> Config:
    """A config from `--key value` alone. Ends the process for `--help` and for keys and values that do not exist."""
    return tyro.cli(config_type, args=list(arguments), prog=program, description=description)


def parse_recipe(
    recipes: Mapping[str, Callable[[], Config]],
    default_recipe: str,
    arguments: Sequence[str],
    *,
    program: str,
) -> Config:
    """`[RECIPE] --dotted.key value ...`: the recipe's config with single values changed.

    Raises ValueError for a recipe that does not exist, naming those that do.
    """
    name, rest = default_recipe, list(arguments)
    if rest and not rest[0].startswith("-"):
        name = rest.pop(0).replace("-", "_")
    if name not in recipes:
        raise ValueError(f"there is no recipe {name!r}; accepted are {', '.join(recipes)}")
    default = recipes[name]()
    description = f"Recipes (first argument, default {default_recipe}):\n\n" + "\n\n".join(
        f"{recipe}: {(factory.__doc__ or '').strip().splitlines()[0]}" for recipe, factory in recipes.items()
    )
    return tyro.cli(type(default), default=default, args=rest, prog=f"{program} {name}", description=description)


def say(message: str) -> None:
    """A message to the person who started the job."""
    print(redact(message), file=sys.stderr, flush=True)


def say_step(doing: str) -> None:
    """What the job does from now on, with the seconds since it was started: nobody looks at a silent terminal."""
    say(f"{time.monotonic() - STARTED_SECONDS:5.1f} s  {doing}")
