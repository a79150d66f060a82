"""What is wrong with lists: gathered first, then said at once, for mending a list line by line takes as many starts."""

MAX_SHOWN_FAULTS = 20


class ListFaults:
    """Each fault is a sentence of its own that names the place, the value and what would be accepted."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, fault: str) -> None:
        self._faults.append(fault)

    def raise_if_any(self) -> None:
        """ValueError with the first faults and the number of all."""
        if len(self._faults) == 1:
            raise ValueError(self._faults[0])
        if self._faults:
            num_hidden = len(self._faults) - MAX_SHOWN_FAULTS
            lines = [
                f"the lists have {len(self._faults):,} faults; nothing was read:",
                *self._faults[:MAX_SHOWN_FAULTS],
            ]
            lines += [f"and {num_hidden:,} more"] if num_hidden > 0 else []
            raise ValueError("\n  ".join(lines))
