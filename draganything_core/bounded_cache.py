"""What was computed once and may be needed again, as long as it fits into so many bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Values by key; the one asked for longest ago goes first when they outgrow ``memory`` bytes. For any thread."""

    def __init__(self, memory: int) -> None:
        if memory < 0:
            raise ValueError(f"a cache's memory must be >= 0 bytes, got {memory}")
        self.memory = memory
        self.used = 0
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, or None if it was never put or is gone."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keeps a value of ``size`` bytes; one that is larger than all the memory is not kept."""
        with self._lock:
            self._drop(key)
            if size > self.memory:
                return
            self._kept[key] = (value, size)
            self.used += size
            while self.used > self.memory:
                self._drop(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: Key) -> None:
        if key in self._kept:
            self.used -= self._kept.pop(key)[1]
