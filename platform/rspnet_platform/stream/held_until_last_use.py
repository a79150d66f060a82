"""What is large and used several times, in memory no longer than that."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class HeldUntilLastUse(Generic[Key, Value]):
    """Loads what a key stands for when it is first taken, and lets go of it once it has been taken as often as it is in
    `keys`."""

    def __init__(self, load: Callable[[Key], Value], keys: Iterable[Key]) -> None:
        self._load = load
        self._num_left = Counter(keys)
        self._held: dict[Key, Value] = {}

    def take(self, key: Key) -> Value:
        if key not in self._held:
            self._held[key] = self._load(key)
        value = self._held[key]
        self._num_left[key] -= 1
        if not self._num_left[key]:
            del self._held[key]
        return value
