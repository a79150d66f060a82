"""Keeps passwords, tokens and keys out of what is printed and logged."""

import os
import re
from collections.abc import Mapping

HIDDEN = "[redacted]"
MIN_SECRET_CHARACTERS = 8
_NAMES_OF_PLACES = ("_PATH", "_FILE", "_URI", "_URL", "PWD")
_SECRET_WORDS = r"password|passwd|secret|credential"
_SECRET_NAME = re.compile(
    rf"{_SECRET_WORDS}|(?:^|[._\-])(?:token|pwd|(?:api|access|private|auth)[_\-]?key(?:[_\-]id)?)(?:$|[._\-])",
    re.IGNORECASE,
)
_USER_AND_PASSWORD = re.compile(r"(?<=://)(?:([^/@:\s]*):)?[^/@\s]+@")
_QUERY_PAIR = re.compile(r"([?&])([^=&\s]+)=([^&\s]+)")


def redact(uri: str) -> str:
    """The text without the password of any `scheme://user:password@host`, without secret query values, and without the
    values of the environment's variables that name a secret."""
    for value in _secrets_of_environment():
        uri = uri.replace(value, "***")
    without_password = _USER_AND_PASSWORD.sub(lambda found: f"{found[1] + ':' if found[1] else ''}***@", uri)
    return _QUERY_PAIR.sub(_redact_query_pair, without_password)


def _secrets_of_environment() -> list[str]:
    """Short values would take words out of messages."""
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= MIN_SECRET_CHARACTERS and is_secret_name(name) and not name.endswith(_NAMES_OF_PLACES)
    ]


def is_secret_name(name: str) -> bool:
    """Whether a dotted key names a password, a token or a key; `num_tokens` and `share_key_start` do not."""
    return _SECRET_NAME.search(name) is not None


def redact_values(values: Mapping[str, object]) -> dict[str, str]:
    """Every value as text; hidden where the key names a secret, without passwords where it holds a URI."""
    return {key: HIDDEN if is_secret_name(key) else redact(str(value)) for key, value in values.items()}


def _redact_query_pair(found: re.Match[str]) -> str:
    is_secret = is_secret_name(found[2]) or found[2].lower() in ("sig", "signature", "x-amz-signature")
    return f"{found[1]}{found[2]}={'***' if is_secret else found[3]}"
