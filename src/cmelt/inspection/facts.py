"""A store in figures: what `cmelt inspect` prints, and what its page draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cmelt.store.copies import copy_groups
from cmelt.store.opened import Store
from cmelt.text.cleaning import clean_report, usable
from cmelt.text.language import language_of

SPLITS = ("train", "validation", "test")


def facts_of(store: Store) -> dict[str, Any]:
    """What `cmelt inspect --json` prints; the keys are an interface (docs/prepare.md)."""
    index, manifest = store.index, store.manifest
    reports = Counter(report for report in index["report"] if report)
    return {
        "path": str(store.path),
        "sha256": store.sha256,
        "source": manifest["source"],
        "records": len(store),
        "patients": int(index["patient"].nunique()),
        "splits": manifest["splits"],
        "held_back": manifest["held_back"],
        "rate_hz": store.rate,
        "seconds": manifest["seconds"],
        "leads": list(store.leads),
        "microvolts_per_step": store.microvolts_per_step,
        "megabytes": sum(file["bytes"] for file in manifest["files"].values()) / 1e6,
        "source_rates_hz": counts(index["source_rate"]),
        "source_seconds": spread(index["seconds"].to_list()),
        "identical_signals": len(store) - len(set(copy_groups(index["fingerprint"].to_list()).tolist())),
        "missing_leads": counts(lead for found in index["missing_leads"] for lead in found),
        "flags": counts(flag for found in index["flags"] for flag in found),
        "reports": _reports(reports, len(store)),
        "age": spread(index["age"].dropna().to_list()),
        "sex": counts(sex or "unknown" for sex in index["sex"]),
        "classes": _classes(store),
        "missing_files": manifest["source"]["missing_files"],
        "quarantined": len(store.quarantine),
        "quarantine_reasons": counts(line["reason"] for line in store.quarantine),
        "warnings": manifest["warnings"],
    }


def counts(values: Iterable[Any]) -> dict[str, int]:
    """How often each value occurs, most frequent first; numbers as their shortest text."""
    found = Counter(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return dict(found.most_common())


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Least, quartiles and greatest; None of nothing."""
    if not len(values):
        return None
    names = ("least", "quarter", "middle", "three_quarters", "greatest")
    return dict(zip(names, (float(value) for value in np.percentile(values, [0, 25, 50, 75, 100])), strict=True))


def flags_by_lead(store: Store) -> dict[str, dict[str, int]]:
    """Kind of flag → lead ("" for flags of the whole record) → records."""
    found: dict[str, Counter[str]] = {}
    for flags in store.index["flags"]:
        for flag in flags:
            kind, _, lead = flag.partition(":")
            found.setdefault(kind, Counter())[lead if lead in store.leads else ""] += 1
    return {kind: dict(found[kind]) for kind in sorted(found, key=lambda kind: -sum(found[kind].values()))}


def _reports(reports: Counter[str], records: int) -> dict[str, Any]:
    """Counts of reports as the source has them, and cleaned as training sees them."""
    cleaned = {report: clean_report(report) for report in reports}
    languages: Counter[str] = Counter()
    words: list[int] = []
    for report, count in reports.items():
        languages[language_of(cleaned[report])] += count
        words += [len(report.split())] * count
    return {
        "with_report": sum(reports.values()),
        "without_report": records - sum(reports.values()),
        "usable": sum(count for report, count in reports.items() if usable(cleaned[report])),
        "distinct": len(reports),
        "distinct_cleaned": len(set(cleaned.values())),
        "words": spread(words),
        "languages": dict(languages.most_common()),
    }


def _classes(store: Store) -> dict[str, dict[str, int]]:
    """Records with each label, in all and by split, most frequent first."""
    by_split: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for split, labels in zip(store.index["split"], store.index["labels"], strict=True):
        by_split.setdefault(split, Counter()).update(set(labels))
    total = sum(by_split.values(), Counter())
    return {
        label: {"all": count} | {split: by_split[split][label] for split in SPLITS}
        for label, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    }
