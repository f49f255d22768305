"""A store as a page to look at: distributions, classes, quality, reports, and ECGs on their paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from cmelt import __version__
from cmelt.drawing import draw_ecg
from cmelt.inspection.examples import Shown, examples_of
from cmelt.inspection.facts import SPLITS, facts_of, flags_by_lead
from cmelt.pages import Bar, bar_chart, document, facts, histogram, table
from cmelt.store.opened import Store
from cmelt.text.cleaning import clean_report

LINKS = {
    "holds": "What it holds",
    "people": "People and recordings",
    "classes": "Classes",
    "quality": "Quality",
    "left-out": "Left out",
    "reports": "Reports",
    "examples": "Examples",
    "made": "How it was made",
}
_MOST_BARS = 20
_LANGUAGES = {"de": "German", "en": "English", "sv": "Swedish", "fr": "French", "es": "Spanish", "it": "Italian", "nl": "Dutch"}
_LANGUAGES |= {"pt": "Portuguese", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "ru": "Russian", "el": "Greek"}


def data_report(store: Store) -> str:
    """The whole page, with everything in it. It shows reports and ECGs: it is as confidential as the store.

    Raises:
        StoreError: a file of the store cannot be read.
    """
    found = facts_of(store)
    sections = {
        "holds": _holds(found),
        "people": _people(store, found),
        "classes": _classes(found),
        "quality": _quality(store, found),
        "left-out": _left_out(found),
        "reports": _reports(store, found),
        "examples": "".join(_example(shown, store) for shown in examples_of(store)),
        "made": _made(store, found),
    }
    body = "".join(f'<section><h2 id="{name}">{LINKS[name]}</h2>{content}</section>' for name, content in sections.items())
    keep = '<p class="soft">This page shows reports and ECGs of the archive: keep it where the archive is kept.</p>'
    return document(f"Data report: {store.path.name}", LINKS, keep + body)


def _holds(found: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{count:,} {split}" for split, count in found["splits"].items())
    shown = {
        "source": str(found["source"]["name"]),
        "records": f"{found['records']:,} of {found['patients']:,} patients",
        "splits": splits + (f", {found['held_back']:,} in none (copies across splits)" if found["held_back"] else ""),
        "signals": f"{len(found['leads'])} leads, {found['rate_hz']:g} Hz, {found['seconds']:g} s, {found['megabytes']:,.1f} MB",
        "with a usable report": f"{found['reports']['usable']:,}",
        "left out": f"{found['quarantined']:,}, and {found['missing_files']:,} rows of its tables without files",
    }
    warnings = "".join(f'<p class="warning">{escape(warning)}</p>' for warning in found["warnings"])
    return facts(shown) + warnings


def _people(store: Store, found: Mapping[str, Any]) -> str:
    index = store.index
    ages = index["age"].dropna().to_numpy(float)
    a_patient = index["patient"].value_counts().value_counts().sort_index()
    lengths = np.asarray(index["seconds"], float)
    parts = []
    if len(ages):
        parts.append(_figure(histogram(ages, np.arange(0, 101, 5), "Age", " y"), f"Age, of {len(ages):,} records with one"))
    parts.append(_figure(bar_chart(_bars(found["sex"]), "Sex"), "Sex"))
    parts.append(
        _figure(
            bar_chart([Bar(f"{n} ECG{'s' if n != 1 else ''}", float(c)) for n, c in a_patient.items()][:12], "ECGs"),
            "Patients, by ECGs",
        )
    )
    rates = {f"{rate} Hz": count for rate, count in found["source_rates_hz"].items()}
    parts.append(_figure(bar_chart(_bars(rates), "Rate"), "Rate as recorded"))
    top = max(10.0, float(np.ceil(np.percentile(lengths, 99))))
    if np.ptp(lengths) < 0.01:
        parts.append(_figure(bar_chart([Bar(f"{lengths[0]:g} s", float(len(lengths)))], "Length"), "Length as recorded"))
    else:
        parts.append(_figure(histogram(lengths, np.linspace(0, top, 21), "Length", " s"), "Length as recorded"))
    return f'<div class="columns">{"".join(parts)}</div>'


def _classes(found: Mapping[str, Any]) -> str:
    if not found["classes"]:
        return "<p>The records have no labels.</p>"
    vocabularies: dict[str, list[tuple[str, dict[str, int]]]] = {}
    for label, by_split in found["classes"].items():
        vocabulary, _, name = label.rpartition(":")
        vocabularies.setdefault(vocabulary, []).append((name, by_split))
    parts = []
    for vocabulary, classes in vocabularies.items():
        bars = [Bar(name, float(by_split["all"]), f"{by_split['all']:,}") for name, by_split in classes[:_MOST_BARS]]
        rows = [(name, *(f"{by_split[split]:,}" for split in ("all", *SPLITS))) for name, by_split in classes]
        title = f"{vocabulary or 'labels'}: {len(classes)} classes"
        full = f"<details><summary>By split</summary>{table(('class', 'all', *SPLITS), rows)}</details>"
        parts.append(f"<h3>{escape(title)}</h3>{bar_chart(bars, title)}{full}")
    return "".join(parts)


def _quality(store: Store, found: Mapping[str, Any]) -> str:
    flags = flags_by_lead(store)
    if not flags:
        return "<p>Nothing is flagged.</p>"
    good = sum(not found for found in store.index["flags"])
    rows = []
    for kind, by_lead in flags.items():
        cells = [f"{by_lead[lead]:,}" if lead in by_lead else "" for lead in ("", *store.leads)]
        rows.append((kind, *cells))
    missing = found["missing_leads"]
    if missing:
        rows.append(("not usable", "", *(f"{missing[lead]:,}" if lead in missing else "" for lead in store.leads)))
    told = f"<p>{good:,} of {found['records']:,} records have no flag. What each means: docs/quality.md.</p>"
    return told + table(("flag", "record", *store.leads), rows)


def _left_out(found: Mapping[str, Any]) -> str:
    parts = [f"<p>{found['quarantined']:,} records were left out; <code>quarantine.jsonl</code> names each with its remedy.</p>"]
    if found["quarantine_reasons"]:
        parts.append(table(("reason", "records"), [(name, f"{n:,}") for name, n in found["quarantine_reasons"].items()][:50]))
    parts.append(f"<p>{found['identical_signals']:,} records are copies of another signal in the store.</p>")
    return "".join(parts)


def _reports(store: Store, found: Mapping[str, Any]) -> str:
    reports = found["reports"]
    if not reports["with_report"]:
        return "<p>The records have no reports.</p>"
    cleaned: Counter[str] = Counter()
    for report, count in store.index["report"].value_counts().items():
        if report:
            cleaned[clean_report(str(report))] += int(count)
    words = np.repeat([len(report.split()) for report in cleaned], list(cleaned.values()))
    languages = {_LANGUAGES.get(code, code): count for code, count in reports["languages"].items()}
    charts = _figure(histogram(words, np.arange(0, 61, 3), "Words", ""), "Words of a report, cleaned")
    charts += _figure(bar_chart(_bars(languages), "Language"), "Language")
    told = (
        f"<p>{reports['with_report']:,} records have a report, {reports['usable']:,} of them one of three words or more; "
        f"{reports['distinct']:,} are distinct as written, {reports['distinct_cleaned']:,} when cleaned.</p>"
    )
    rows = [(report, f"{count:,}", f"{count / reports['with_report']:.1%}") for report, count in cleaned.most_common(25)]
    most = "<h3>The most frequent, cleaned</h3>" + table(("report", "records", "share"), rows)
    return f'{told}<div class="columns">{charts}</div>{most}'


def _example(shown: Shown, store: Store) -> str:
    record = store.record(shown.row)
    drawing = draw_ecg(record.signal, store.rate, store.leads, shown.reason)
    said = {
        "report": clean_report(record.report) or "none",
        "labels": ", ".join(record.labels) or "none",
        "flags": ", ".join(record.flags) or "none",
        "record": f"row {shown.row} of the store, {f'split {record.split}' if record.split else 'in no split'}",
    }
    return (
        f'<figure class="example"><figcaption><b>{escape(shown.reason)}</b></figcaption>'
        f'<div class="paper">{drawing}</div>{facts(said)}</figure>'
    )


def _made(store: Store, found: Mapping[str, Any]) -> str:
    manifest = store.manifest
    settings = ", ".join(f"{name} {value}" for name, value in found["source"]["settings"].items())
    notes = "; ".join(f"{name}: {note}" for name, note in found["source"]["notes"].items())
    return facts(
        {
            "source": f"{found['source']['name']} ({settings})" if settings else str(found["source"]["name"]),
            "its conventions": notes or "none",
            "stored": f"int16, {store.microvolts_per_step:g} µV a step, {store.samples} samples, crop {manifest['crop']}",
            "store": found["sha256"],
            "cmelt": __version__,
        }
    )


def _bars(found: Mapping[str, int]) -> list[Bar]:
    return [Bar(name, float(count), f"{count:,}") for name, count in list(found.items())[:_MOST_BARS]]


def _figure(drawing: str, caption: str) -> str:
    return f"<figure><figcaption><b>{escape(caption)}</b></figcaption>{drawing}</figure>"
