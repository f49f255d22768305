"""Which records of a store are worth a look: ordinary ones, one of each frequent class, one of each fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cmelt.store.opened import Store

#: Flags that say what was done to a record, not that something is wrong with it.
HARMLESS = frozenset({"padded", "cropped", "derived", "interpolated", "mains"})


@dataclass(frozen=True)
class Shown:
    """A row of the store and why it is shown."""

    row: int
    reason: str


def examples_of(store: Store, of_classes: int = 4, of_faults: int = 6) -> list[Shown]:
    """The first record without a flag, of each of the most frequent classes, and with each of the most frequent faults.

    The first ones in the store's order: whoever looks twice sees the same; no record is shown twice.
    """
    classes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    first_of_class: dict[str, int] = {}
    first_with_fault: dict[str, int] = {}
    ordinary: list[int] = []
    for row, (labels, flags) in enumerate(zip(store.index["labels"], store.index["flags"], strict=True)):
        kinds = {flag.partition(":")[0] for flag in flags} - HARMLESS
        faults.update(kinds)
        for kind in kinds:
            first_with_fault.setdefault(kind, row)
        if kinds:
            continue
        ordinary += [row] if not ordinary else []
        classes.update(labels)
        for label in labels:
            if row not in ordinary:
                first_of_class.setdefault(label, row)
    shown = [Shown(row, "An ordinary record: the first without a fault") for row in ordinary]
    rows = set(ordinary)
    for label, _ in classes.most_common():
        if len(shown) >= len(ordinary) + of_classes:
            break
        row = first_of_class.get(label, -1)
        if row >= 0 and row not in rows:
            shown.append(Shown(row, f"Class {label}"))
            rows.add(row)
    for kind, count in faults.most_common(of_faults):
        if first_with_fault[kind] not in rows:
            shown.append(Shown(first_with_fault[kind], f"Flag {kind}: the first of {count:,} records"))
            rows.add(first_with_fault[kind])
    return shown
