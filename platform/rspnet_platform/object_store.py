"""Object stores through fsspec: short time-outs, bounded retries with back-off, and in the end one error that names the
URI."""

import errno
import logging
import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20
"""Without a single byte. s3fs's own settings waited for a frozen server for more than 170 seconds."""

MAX_RETRYING_SECONDS = 40
"""No attempt begins later than that after the first, so that a store which stays away is an error in about a minute.
The environment variable RETRYING has another number."""

RETRYING = "RSPNET_STORE_RETRYING_SECONDS"

MIN_UPLOAD_BYTES_PER_SECOND = 1_000_000
"""An upload that is slower counts as stuck: no time-out of a socket notices a receiver that has stopped reading."""

_ATTEMPT_THAT_IS_SAID = 4
_PERMANENT_ERRNOS = {
    *(errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENOSPC, errno.ENOSYS, errno.EMSGSIZE, errno.ENAMETOOLONG, getattr(errno, "EREMCHG", errno.ENOENT)),
}
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound")
_MISSING_PACKAGES = {"gs": "rspnet[gcs]", "gcs": "rspnet[gcs]"}

T = TypeVar("T")
_clients: dict[tuple[int, str], Any] = {}


class StorageError(OSError):
    """Storage did not do what was asked of it; the message names the URI."""


def max_retrying_seconds() -> float:
    """Raises ValueError for what is no number of seconds."""
    value = os.environ.get(RETRYING, str(MAX_RETRYING_SECONDS))
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{RETRYING} is {value!r}; accepted are seconds, from 0 on")
    return seconds


def call(uri: str, verb: str, operation: Callable[[Any], T]) -> T:
    """`operation` on the fsspec file system of `uri`, again and again while the store fails in a way that may pass.

    Raises FileNotFoundError when nothing is there, and StorageError naming `uri` for all else: at once where trying
    again does not help (permissions, credentials, a bad request), otherwise when the time is over.
    """
    filesystem = _filesystem(uri)
    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential(multiplier=0.2, max=5) + wait_random(0, 1),
        stop=stop_before_delay(max_retrying_seconds()),
        before_sleep=_say_once(uri, verb),
        reraise=True,
    )
    try:
        return retrying(operation, filesystem)
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(f"cannot {verb} {uri}: nothing is there") from error
    except Exception as error:  # each store's client raises exceptions of its own
        raise StorageError(_message(uri, verb, error, retrying.statistics)) from error


def upload(uri: str, num_bytes: int, operation: Callable[..., None]) -> None:
    """`call` for `operation(filesystem, **options)`, which writes `num_bytes`, as a whole or not at all."""
    seconds = READ_TIMEOUT_SECONDS + num_bytes / MIN_UPLOAD_BYTES_PER_SECOND

    def attempt(filesystem: Any) -> None:
        operation(filesystem, **({"timeout": seconds} if filesystem.async_impl else {}))

    try:
        call(uri, "write", attempt)
    except FileNotFoundError as error:
        raise StorageError(f"cannot write {uri}: there is no such bucket") from error


def create(uri: str, data: bytes) -> bool:
    """Writes an object where none is there; False where there is one. See `storage.create_bytes`."""

    def attempt(store: Any) -> bool:
        try:
            store.pipe_file(uri, data, mode="create")
        except OSError as error:
            if error.errno == errno.ENOSYS:  # an old store, that says so
                is_free = not store.exists(uri)
                if is_free:
                    store.pipe_file(uri, data)
                return is_free
            # s3fs knows the refusal of one that is there by a word that not every store says.
            if isinstance(error, FileExistsError) or (error.errno == errno.EINVAL and store.exists(uri)):
                return False
            raise
        return True

    try:
        return call(uri, "write", attempt)
    except FileNotFoundError as error:
        raise StorageError(f"cannot write {uri}: there is no such bucket") from error


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if is_refusal(error) or isinstance(error, FileNotFoundError | FileExistsError | StorageError):
        return False
    if isinstance(error, OSError) and error.errno in _PERMANENT_ERRNOS:
        return False
    return isinstance(error, Exception) and not isinstance(error, TypeError | ValueError | NotImplementedError)


def is_refusal(error: BaseException) -> bool:
    """Whether the store knows who asks, or nobody, and says no."""
    is_gcsfs_403 = type(error) is OSError and str(error).startswith("Forbidden")
    return isinstance(error, PermissionError) or type(error).__name__ in _NO_CREDENTIALS or is_gcsfs_403


def _filesystem(uri: str) -> Any:
    """The process's own client of the store.

    A forked child makes one anew and must not let go of its parent's: closing that would take the parent's connections
    out of the event loop that they share.
    """
    scheme = uri.split("://", 1)[0]
    key = (os.getpid(), scheme)
    if key not in _clients:
        _clients[key] = _new_client(uri, scheme)
    return _clients[key]


def _new_client(uri: str, scheme: str) -> Any:
    try:
        filesystem: Any = fsspec.filesystem(scheme, **_options(scheme))
    except ImportError as error:
        needed = _MISSING_PACKAGES.get(scheme)
        hint = f"; it needs: pip install '{needed}'" if needed else ""
        raise StorageError(f"{uri}: cannot use {scheme}:// ({error}){hint}") from error
    except ValueError as error:
        raise StorageError(f"{uri}: cannot use {scheme}:// ({error}); accepted: a local path, s3://, gs://") from error
    if hasattr(filesystem, "retries"):
        filesystem.retries = 1  # s3fs's own, which know no end in time
    return filesystem


def _options(scheme: str) -> dict[str, Any]:
    options: dict[str, Any] = {"use_listings_cache": False}  # others write to the store too
    if scheme in ("s3", "s3a"):
        for name in ("botocore", "aiobotocore"):  # where it found credentials, in each worker
            logging.getLogger(name).setLevel(logging.WARNING)
        options["config_kwargs"] = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": READ_TIMEOUT_SECONDS,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
        }
    elif scheme in ("gs", "gcs"):
        options["requests_timeout"] = READ_TIMEOUT_SECONDS
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # a traceback for each attempt, before our one error
    return options


def _say_once(uri: str, verb: str) -> Callable[[RetryCallState], None]:
    def say(state: RetryCallState) -> None:
        if state.attempt_number == _ATTEMPT_THAT_IS_SAID and state.outcome is not None:
            error = state.outcome.exception()
            logging.getLogger(__name__).warning(
                "cannot %s %s (%s); trying for %d seconds more", verb, uri, _in_short(error), max_retrying_seconds()
            )

    return say


def _message(uri: str, verb: str, error: Exception, statistics: dict[str, Any]) -> str:
    message = f"cannot {verb} {uri}: {_in_short(error)}"
    if is_refusal(error):
        return f"{message}; accepted are credentials that allow it, from the environment or the cloud's own chain"
    if not may_pass(error):
        return message
    attempts, seconds = statistics["attempt_number"], statistics["delay_since_first_attempt"]
    return f"{message} (tried {'once' if attempts == 1 else f'{attempts} times'} in {seconds:.0f} s)"


def _in_short(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
