"""What disturbed ECGs cost, as a section of a model's card, from what `benchmarks/robustness.py` has measured of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cmelt.evaluation.metrics import Figure
from cmelt.pages import markdown_table

FORMAT = "cmelt-robustness"
#: A loss of more macro AUROC than this is a break.
BROKEN = 0.02
#: Where fewer records than this part lose their probability, a break is not told well enough.
TOLD = 0.9
#: Groups of conditions that stand beside each other: leads at fault, and the same put right.
FAULTY, CORRECTED = "exchanged", "exchanged, corrected"

#: What was measured, as plain dictionaries.
Content = Mapping[str, Any]

_HOW = """Every record is changed, then handed in as a user's file is. Figures are macro AUROC, zero-shot, minus that of the same
records as they were recorded, with 95 % intervals from a paired bootstrap over patients. *Flagged*: the share of records that get
at least one flag of docs/quality.md or a verdict, or are refused. *No probability*: the share for which the answer is "cannot
tell", with the reason, or that are refused. Noise is computed; signal-to-noise ratios are those of a whole record's power to the
noise's. Records asked: {asked}. Warnings are counted on {judged}; as they were recorded, {clean} get no probability.
`python benchmarks/robustness.py` measures it again."""


def robustness_section(content: Content) -> str:
    """The section as markdown, beginning with its heading."""
    conditions = content["conditions"]
    broken = [condition for condition in conditions if breaks(condition)]
    parts = [
        "## Disturbed records",
        _HOW.format(asked=_counts(content, "records"), judged=_counts(content, "judged"), clean=_clean(content)),
        f"### What breaks\n\nConditions under which one of the means falls by more than {BROKEN:g}.",
        _table(content, [one for one in broken if one["group"] != CORRECTED]),
        _untold(broken),
        f"### What does not\n\n{_unbroken(conditions)}",
        "### Exchanged and turned leads, as they are and put right\n\n*Put right* is by `cmelt.correct_leads`, which undoes what "
        "flags name; *none* is what it does to right records.",
        _corrections(content),
    ]
    return "\n\n".join(part for part in parts if part)


def breaks(condition: Content) -> bool:
    """Whether a mean falls by more than `BROKEN`, or every record is refused."""
    return any(loss < -BROKEN for loss in _losses(condition)) or _refused(condition)


def is_told(condition: Content) -> bool:
    """Whether nearly all records of every sample lose their probability."""
    return all(sample["no_probability"][0] >= TOLD for sample in condition["data"].values())


def _refused(condition: Content) -> bool:
    return all(sample["refused"][0] == 1.0 for sample in condition["data"].values())


def _losses(condition: Content) -> list[float]:
    tasks = (task for sample in condition["data"].values() for task in sample["tasks"].values())
    return [task["difference"][0] for task in tasks if task["difference"] is not None]


def _counts(content: Content, what: str) -> str:
    return " and ".join(f"{sample[what]} of {sample['name']}" for sample in content["samples"])


def _clean(content: Content) -> str:
    found = content["conditions"][0]["data"]
    return " and ".join(f"{found[sample['name']]['no_probability'][0]:.3f} of {sample['name']}" for sample in content["samples"])


def _columns(content: Content) -> list[tuple[str, str]]:
    """Sample and task of each column of figures."""
    first = content["conditions"][0]["data"]
    return [(sample, task) for sample, found in first.items() for task in found["tasks"]]


def _table(content: Content, conditions: Sequence[Content]) -> str:
    columns = _columns(content)
    samples = [sample["name"] for sample in content["samples"]]
    head = ["what is done", *(f"{task}, {sample}" for sample, task in columns)]
    head += [f"flagged; no probability, {sample}" for sample in samples]
    rows = []
    for condition in conditions:
        cells = [_difference(condition["data"][sample]["tasks"][task]["difference"]) for sample, task in columns]
        told = [_shares(condition["data"][sample]) for sample in samples]
        rows.append([_name(condition), *cells, *told])
    return markdown_table(head, rows)


def _shares(sample: Content) -> str:
    if sample["refused"][0] == 1.0:
        return "refused"
    return f"{sample['flagged'][0]:.2f}; {sample['no_probability'][0]:.2f}"


def _name(condition: Content) -> str:
    return f"{condition['group']}: {condition['name']}"


def _difference(found: Sequence[float | None] | None) -> str:
    if found is None:
        return "–"
    return Figure(*(math.nan if value is None else value for value in found)).text(signed=True)


def _untold(broken: Iterable[Content]) -> str:
    """What breaks and is not told of enough records; what it costs those that keep a probability stands beside."""
    missed = [one for one in broken if one["group"] != CORRECTED and not is_told(one)]
    if not missed:
        return f"Under each of them at least {100 * TOLD:.0f} % of the records get no probability."
    lines = [f"**Not told well enough** (more than {100 - 100 * TOLD:.0f} % keep a probability; what these lose):", ""]
    for condition in missed:
        kept = [
            f"{task} {_difference(found['with_probability'])} of {found['records_with_probability']}"
            for sample in condition["data"].values()
            for task, found in sample["tasks"].items()
        ]
        lines.append(f"* {_name(condition)}: {'; '.join(kept)}")
    return "\n".join(lines)


def _unbroken(conditions: Sequence[Content]) -> str:
    groups: dict[str, list[Content]] = {}
    for condition in conditions:
        if not breaks(condition) and condition["group"] not in (CORRECTED, "as recorded"):
            groups.setdefault(condition["group"], []).append(condition)
    lines = []
    for group, found in groups.items():
        worst = min(loss for condition in found for loss in _losses(condition))
        lines.append(f"* {group}: {', '.join(condition['name'] for condition in found)} (at worst {worst:+.3f})")
    return "\n".join(lines)


def _corrections(content: Content) -> str:
    by_name = {
        group: {one["name"]: one for one in content["conditions"] if one["group"] == group} for group in (FAULTY, CORRECTED)
    }
    columns = _columns(content)
    head = ["leads", *(f"{task}, {sample}, {word}" for sample, task in columns for word in ("as they are", "put right"))]
    rows = []
    for name, right in by_name[CORRECTED].items():
        cells = []
        for sample, task in columns:
            faulty = by_name[FAULTY].get(name)
            cells.append("" if faulty is None else _difference(faulty["data"][sample]["tasks"][task]["difference"]))
            cells.append(_difference(right["data"][sample]["tasks"][task]["difference"]))
        rows.append([name, *cells])
    return markdown_table(head, rows)
