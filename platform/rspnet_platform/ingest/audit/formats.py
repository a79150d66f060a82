"""Numbers as people read them."""

import math

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_bytes(num_bytes: float) -> str:
    """In decimal units, as disks and stores are sold: '1.3 GB'."""
    power = min(int(math.log10(max(num_bytes, 1)) / 3), len(_BYTE_UNITS) - 1)
    value = num_bytes / 1000**power
    return f"{value:,.0f} {_BYTE_UNITS[power]}" if power == 0 or value >= 100 else f"{value:.1f} {_BYTE_UNITS[power]}"


def format_seconds(seconds: float) -> str:
    """'0.5 s', '12 min 30 s', '3 h 20 min', '1,234 h'."""
    if seconds < 60:
        return f"{format_number(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 100 * 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{seconds / 3600:,.0f} h"


def format_number(value: float) -> str:
    """Three digits are enough for an axis: '0.25', '12.5', '1,200'."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def format_fraction(fraction: float) -> str:
    """'12.5 %'; never '0.0 %' for something that is there."""
    if 0 < fraction < 0.001:
        return "< 0.1 %"
    return f"{fraction * 100:.1f} %".replace(".0 %", " %")


def shorten(text: str, max_length: int) -> str:
    """The end of a path tells more than its middle."""
    if len(text) <= max_length:
        return text
    head = max_length // 2
    return f"{text[:head]}…{text[len(text) - (max_length - head - 1) :]}"
