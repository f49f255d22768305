"""The report's sections on retrieval, patient identification and the test in another hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from cmelt.evaluation.further import Further
from cmelt.evaluation.identification import IdentificationResults
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.report.charts import forest_chart
from cmelt.evaluation.report.tables import decision_table, difference, number
from cmelt.evaluation.retrieval import RetrievalResults
from cmelt.evaluation.search import SearchResult
from cmelt.evaluation.shift_results import ShiftResults
from cmelt.pages import html_table


def further_sections(further: Further) -> dict[str, tuple[str, str]]:
    """Anchor → (what the page's list of contents calls it, the section), for what was measured."""
    sections = {}
    if further.retrieval is not None:
        sections["retrieval"] = ("Retrieval", _retrieval(further.retrieval))
    if further.identification is not None:
        sections["identification"] = ("Identification", _identification(further.identification))
    if further.shift is not None:
        sections["shift"] = ("Another hospital", _shift(further.shift))
    return {anchor: (word, f'<section><h2 id="{anchor}">{html}</section>') for anchor, (word, html) in sections.items()}


def _retrieval(result: RetrievalResults) -> str:
    facts = (
        f"{result.records} records of {result.patients} patients ({' and '.join(result.splits)}) with {result.distinct_reports} "
        f"different reports; {result.without_report} records without a usable report were not asked. A report that is word for "
        "word the true one counts as a hit; equal similarities stand in random order. R@k is the share of queries with a hit "
        "among the first k, the median rank the smallest k with R@k of one half."
    )
    rows = [row for way, search in result.directions.items() for row in _search_rows(f"{way}, R@{{}}", way, search)]
    return f"Retrieval</h2><p>{escape(facts)}</p>{_notes(result.notes)}{_search_table(rows)}"


def _identification(result: IdentificationResults) -> str:
    facts = (
        f"{result.probes} records of {result.patients} patients ({' and '.join(result.splits)}) are searched among these "
        f"patients' first records by cosine, without labels and text; {result.copies} copies of a first record were left out."
    )
    rows = _search_rows("top {}", "identification", result.accuracy)
    return f"Patient identification</h2><p>{escape(facts)}</p>{_notes(result.notes)}{_search_table(rows)}"


def _search_table(rows: Sequence[str]) -> str:
    return html_table(("", "model", "random weights", "difference", "shuffled ECGs", "chance"), rows)


def _search_rows(name: str, way: str, search: SearchResult) -> list[str]:
    """One line for each k, and one for the median rank."""
    rows = []
    for k, share in search.model.within.items():
        shuffled = None if search.shuffled is None else search.shuffled.within[k]
        cells = [f"<td>{number(share)}</td>", _control(number(search.random.within[k]))]
        cells += [f"<td>{difference(search.gain[k])}</td>", _control(number(shuffled)), _control(number(search.chance.within[k]))]
        rows.append(f"<tr><td>{escape(name.format(k))}</td>{''.join(cells)}</tr>")
    medians = [search.random.median_rank, search.chance.median_rank]
    shuffled_rank = None if search.shuffled is None else search.shuffled.median_rank
    controls = [_control(_rank(figure)) for figure in (medians[0], shuffled_rank, medians[1])]
    words = f"{escape(way)}, median rank of {search.candidates}"
    rows.append(
        f"<tr><td>{words}</td><td>{_rank(search.model.median_rank)}</td>{controls[0]}<td></td>{controls[1]}{controls[2]}</tr>"
    )
    return rows


def _shift(result: ShiftResults) -> str:
    home = "" if result.at_home is None else f"linear head, at home ({len(result.at_home.model.classes)} classes)"
    drawn = {home: result.at_home, "linear head, another hospital": result.head}
    drawn["zero-shot, another hospital"] = result.best_zero_shot
    chart = forest_chart([(n, c.model.macro_auroc, c.random.macro_auroc) for n, c in drawn.items() if c is not None])
    source, target = result.source, result.target
    asked = f" ({target.part})" if target.part else ""
    facts = (
        f"A linear head learned from {source.train_records} records of store {source.store[:12]} is asked of {target.records} "
        f"records of {target.patients} patients of store {target.store[:12]}{asked}, over the {len(result.classes)} classes "
        "that both name often enough. Nothing of the target was learned from."
    )
    parts = [f"Another hospital: {escape(str(result.task['description']) or result.name)}</h2><p>{escape(facts)}</p>"]
    parts += [_notes((*_left_out(source.left_out, "not learned from"), *_left_out(target.left_out, "not asked")))]
    parts += [_notes(result.notes), chart]
    if result.drop is not None:
        parts.append(
            f"<p>The other hospital costs {difference(result.drop)} of macro AUROC, over the classes measured in both.</p>"
        )
    parts.append(_shift_table(result))
    if calls := decision_table(result.head):
        parts.append(f"<details><summary>Calls and calibration at the source's thresholds</summary>{calls}</details>")
    if result.left_out:
        names = "; ".join(f"{escape(name)}: {escape(reason)}" for name, reason in result.left_out.items())
        parts.append(f"<details><summary>{len(result.left_out)} classes left out</summary><p>{names}</p></details>")
    return "".join(parts)


def _shift_table(result: ShiftResults) -> str:
    """One line a class: how often it is learned and asked, and its AUROC by every way."""
    shot = result.best_zero_shot
    head = ("class", "learned from", "asked of", "linear head", "random weights", "at home", "zero-shot", "random weights")
    home = None if result.at_home is None else result.at_home.model
    macro = [result.head.model, result.head.random, home, *((None, None) if shot is None else (shot.model, shot.random))]
    means = _shift_cells([None if one is None else one.macro_auroc for one in macro])
    rows = [f'<tr class="mean"><td>mean of {len(result.classes)}</td><td></td><td></td>{means}</tr>']
    for name in result.classes:
        figures = [None if one is None or name not in one.classes else one.classes[name].auroc for one in macro]
        count = result.counts[name]
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{count.train_positives}</td><td>{count.positives}</td>{_shift_cells(figures)}</tr>"
        )
    return html_table(head, rows)


def _shift_cells(figures: Sequence[Figure | None]) -> str:
    """Cells of the five ways, the random-weights ones in grey."""
    return "".join(_control(number(f)) if place in (1, 4) else f"<td>{number(f)}</td>" for place, f in enumerate(figures))


def _left_out(counts: Mapping[str, int], word: str) -> list[str]:
    return [f"{count} records {word}: {reason}" for reason, count in counts.items()]


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="warning">{escape(note)}</p>' for note in notes)


def _control(text: str) -> str:
    return f'<td class="control">{text}</td>'


def _rank(figure: Figure | None) -> str:
    """Ranks are whole numbers; only their means and percentiles are not."""
    if figure is None:
        return "–"
    value, low, high = (f"{round(number, 1):g}" for number in (figure.value, figure.low, figure.high))
    return f"{value} <small>[{low}, {high}]</small>" if np.isfinite(figure.low) else value
