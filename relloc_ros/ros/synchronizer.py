# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of images that several cameras took at nearly the same time.

A set goes out as soon as it is complete. One that lacks an image goes out when a camera in it
sends its next: a period has passed then. A camera that was missing in a few sets in a row is not
waited for any more, until it sends something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ['MAX_MISSES', 'Synchronizer']

Item = TypeVar('Item')

MAX_MISSES = 3
"""A camera with a half or a third of the rate of the others is waited for, a silent one is not."""


@dataclass(slots=True, eq=False)
class _Set(Generic[Item]):
    """Items of different sources, which belong together; at least one once it is pending."""

    items: dict[str, tuple[int, Item]] = field(default_factory=dict)

    @property
    def newest_ns(self) -> int:
        return max(stamp_ns for stamp_ns, _ in self.items.values())

    def distance_ns(self, stamp_ns: int) -> int:
        return max(abs(stamp_ns - other) for other, _ in self.items.values())


class Synchronizer(Generic[Item]):
    """Puts items of several sources into sets by their stamps. Looks at no clock.

    Attributes:
        misses: for each source, in how many sets in a row it was missing.
        late: sources whose last item came after its set had gone out.
        distance_ns: from the last item that found no place in a set to the nearest other item.
        num_incomplete: sets that went out since the last complete one.
        num_lost: items that came too late for their set, or whose set never became complete
            before a newer one did.
    """

    def __init__(self, sources: list[str], slop_ns: int) -> None:
        """Start with no set.

        Args:
            sources: their names.
            slop_ns: no two stamps of a set are further apart.
        """
        self._sources, self._slop_ns = sources, slop_ns
        self._pending: list[_Set[Item]] = []
        self.num_lost = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything but what was lost."""
        self.num_lost += sum(len(each.items) for each in self._pending)
        self._pending = []
        self._sent_ns: int | None = None
        self.misses = dict.fromkeys(self._sources, 0)
        self._unheard = dict.fromkeys(self._sources, 0)
        self.late: set[str] = set()
        self.distance_ns: int | None = None
        self.num_incomplete = 0

    def put(self, source: str, stamp_ns: int, item: Item) -> list[list[Item]]:
        """Take an item.

        Args:
            source: where it comes from.
            stamp_ns: its time.
            item: anything.

        Returns:
            The sets that go out by that, oldest first; each with its newest item first.
        """
        self._unheard[source] = 0
        if self._sent_ns is not None and stamp_ns <= self._sent_ns + self._slop_ns:
            self.late.add(source)
            self.num_lost += 1
            return []
        self.late.discard(source)
        gone_out = [
            # What waits for a period to pass need not wait any more.
            self._send(each)
            for each in list(self._pending)
            if source in each.items
        ]
        target = self._find(stamp_ns)
        target.items[source] = (stamp_ns, item)
        if all(name in target.items or self._is_silent(name) for name in self._sources):
            self._drop_before(target.newest_ns)
            gone_out.append(self._send(target))
        return gone_out

    def _is_silent(self, source: str) -> bool:
        return self._unheard[source] >= MAX_MISSES

    def _find(self, stamp_ns: int) -> _Set[Item]:
        """Find the set an item belongs to; a new one if there is none."""
        if self._pending:
            nearest = min(self._pending, key=lambda each: each.distance_ns(stamp_ns))
            distance_ns = nearest.distance_ns(stamp_ns)
            if distance_ns <= self._slop_ns:
                return nearest
            self.distance_ns = distance_ns
        self._pending.append(_Set())
        return self._pending[-1]

    def _drop_before(self, stamp_ns: int) -> None:
        older = [each for each in self._pending if each.newest_ns < stamp_ns]
        self.num_lost += sum(len(each.items) for each in older)
        self._pending = [each for each in self._pending if each not in older]

    def _send(self, complete: _Set[Item]) -> list[Item]:
        self._pending.remove(complete)
        self._sent_ns = max(complete.newest_ns, self._sent_ns or 0)
        missing = [name for name in self._sources if name not in complete.items]
        self.misses.update(dict.fromkeys(complete.items, 0))
        for name in missing:
            self.misses[name] += 1
            self._unheard[name] += 1
        self.num_incomplete = self.num_incomplete + 1 if missing else 0
        newest_first = sorted(complete.items.values(), key=lambda pair: -pair[0])
        return [item for _, item in newest_first]
