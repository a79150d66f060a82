"""The text of lists that people hand in."""

import re

from rspnet_platform import storage

# Not str.splitlines: that also breaks at characters that may stand in a file's name.
_LINE_END = re.compile(r"\r\n|\n|\r")


def read_text(uri: str) -> str:
    """Without a byte order mark. ValueError when the list is missing or not UTF-8."""
    try:
        data = storage.read_bytes(uri)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"the list {uri} does not exist; accepted: a list under its published name") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = len(_LINE_END.split(data[: error.start].decode("latin-1")))
        raise ValueError(
            f"line {line_number} of {uri} is not UTF-8 text ({error.reason}); accepted: the list saved as UTF-8"
        ) from error


def read_lines(uri: str) -> list[tuple[str, str]]:
    """(place, line) of each line that is not blank; the place names file and line."""
    lines = _LINE_END.split(read_text(uri))
    return [(f"line {number} of {uri}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
