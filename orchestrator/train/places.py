"""Who stands in the train, and in which order: first come, first served, but nobody fills it alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.train.model import Change, Record, View

OVERTAKEN = 2
"""So many later changes may enter the train before a waiting one."""
FLOOR = 3
"""The window does not shrink below this: one unlucky hour must not make the train a queue."""
SHRINK = 0.75
"""What is left of the window after a failure; half of it would cost a tenth of the throughput (docs/train-policy.md)."""
REMEMBERED = 100
"""Runs of an author after which the older ones count half."""


def window_of(view: View) -> int:
    return max(1, min(view.max_window, max(FLOOR, view.record.window)))


def entered(view: View) -> Record:
    """Let waiting changes enter as far as there are places; who stands in the train keeps the place."""
    here = {change.id: change for change in view.waiting}
    train = [name for name in view.record.places if name in here]
    overtaken = {name: times for name, times in view.record.overtaken.items() if name in here}
    inside = set(train)
    queue = sorted((change for change in view.waiting if change.id not in inside), key=lambda change: change.seq)
    window = window_of(view)
    share = -(-window // max(1, len({change.author for change in view.waiting}))) + 1
    held = Counter(here[name].author for name in train)
    while queue and len(train) < window:
        index = _next(queue, overtaken, {author for author, places in held.items() if places >= share})
        for passed_by in queue[:index]:
            overtaken[passed_by.id] = overtaken.get(passed_by.id, 0) + 1
        chosen = queue.pop(index)
        held[chosen.author] += 1
        train.append(chosen.id)
    return replace(view.record, window=window, places=tuple(train), overtaken=overtaken)


def _next(queue: Sequence[Change], overtaken: dict[str, int], full: set[str]) -> int:
    """Give the oldest whose author holds less than a share, unless that would overtake somebody once too often."""
    for index, change in enumerate(queue):
        if change.author not in full:
            return index
        if overtaken.get(change.id, 0) >= OVERTAKEN:
            break
    return 0


def learned(record: Record, *, landed: Sequence[Change], guilty: Sequence[Change], most: int) -> Record:
    """Take in what landed and who was guilty: the window grows by one with each success and shrinks by a part with each failure."""
    window = min(most, record.window + len(landed))
    for _ in guilty:
        window = max(min(FLOOR, most), int(window * SHRINK))
    passed, failed = dict(record.passed), dict(record.failed)
    for counts, changes in ((passed, landed), (failed, guilty)):
        for change in changes:
            counts[change.author] = counts.get(change.author, 0) + 1
            if passed.get(change.author, 0) + failed.get(change.author, 0) > REMEMBERED:
                _fade(passed, failed, change.author)
    return replace(record, window=window, passed=passed, failed=failed)


def without(record: Record, gone: set[str]) -> Record:
    """Forget the places of those that are gone."""
    kept = tuple(name for name in record.places if name not in gone)
    overtaken = {name: times for name, times in record.overtaken.items() if name not in gone}
    return replace(record, places=kept, overtaken=overtaken)


def _fade(passed: dict[str, int], failed: dict[str, int], author: str) -> None:
    for counts in (passed, failed):
        counts[author] = counts.get(author, 0) // 2
