"""The table of all figures, `RESULTS.md`, from what each script told last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Figure, bound_of, verdict

_HEAD = """# What was measured

Written by `make bench` (`python benchmarks/run_all.py`) from `benchmarks/results/`, never by hand. How each figure is taken, and
how to take it again: [docs/speed.md](../docs/speed.md). Figures that have a spread are medians over rounds in which the ways took
turns in the same run; the spread is the lowest and highest round, or what the remark says.
"""
_COLUMNS = "| job | ours | spread | compared with | target | | remark |\n|---|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Kept:
    """What is kept of one script's last run.

    Attributes:
        name, heading: its file's name, and what its figures stand under.
        date, machine: when and on what it ran; empty where it failed before it could tell.
        seconds: that it took.
        failed: how it failed; empty where it did not.
    """

    name: str
    heading: str
    date: str
    machine: Mapping[str, str]
    figures: tuple[Figure, ...]
    skipped: tuple[str, ...]
    seconds: float
    failed: str

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any]) -> Kept:
        """From the content of its file."""
        figures = tuple(Figure(**figure) for figure in content["figures"])
        return cls(
            name, content["heading"], content["date"], content["machine"], figures, tuple(content["skipped"]),
            content["seconds"], content["failed"],
        )  # fmt: skip


def contradiction_in(content: Mapping[str, Any]) -> str:
    """What a figure says of itself and its own target denies; nothing where none does."""
    for figure in (Figure(**told) for told in content["figures"]):
        if figure.met is not None and bound_of(figure.target) and figure.met != verdict(figure.value, figure.target):
            told = "reached" if figure.met else "missed"
            return f"{figure.what}: {figure.value:g} {figure.unit} is said to have {told} {figure.target}"
    return ""


def number(value: float) -> str:
    """Three digits that count, thousands with commas and no exponents."""
    if value == 0 or 0.0005 <= abs(value) < 999.5:
        return f"{value:#.3g}".rstrip(".") if abs(value) < 100 else f"{value:.0f}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.1e}"


def write_page(where: Path, kept: Sequence[Kept], picture: str) -> None:
    """Write the page; `picture` is shown on it."""
    usual = _usual_machine(kept)
    parts = [_HEAD, _summary(kept), _machine_table(kept, usual), f"![Each figure against its target]({picture})\n"]
    parts += [_section(one, usual) for one in kept]
    where.write_text("\n".join(parts), encoding="utf-8")


def _summary(kept: Sequence[Kept]) -> str:
    judged = [figure for one in kept for figure in one.figures if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    failed = [one for one in kept if one.failed]
    told = [f"**{len(judged) - len(missed)} of {len(judged)} targets reached.**"]
    told += [f"Missed: {'; '.join(figure.what for figure in missed)}."] if missed else []
    told += [f"Failed: {'; '.join(f'`{one.name}` {one.failed}' for one in failed)}."] if failed else []
    told += [f"All scripts together took {sum(one.seconds for one in kept) / 60:.1f} minutes."] if kept else []
    return " ".join(told) + "\n"


def _usual_machine(kept: Sequence[Kept]) -> Mapping[str, str]:
    """The machine that most scripts ran on; a section names another one."""
    counted = Counter(tuple(one.machine.items()) for one in kept if one.machine)
    return dict(counted.most_common(1)[0][0]) if counted else {}


def _machine_table(kept: Sequence[Kept], usual: Mapping[str, str]) -> str:
    dates = sorted(one.date for one in kept)
    rows = dict(usual)
    if dates:
        rows["measured"] = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows.items())


def _section(one: Kept, usual: Mapping[str, str]) -> str:
    parts = [f"## {one.heading}\n", f"`python benchmarks/{one.name}.py`, {one.date}, {one.seconds:.0f} s.\n"]
    if one.machine and dict(one.machine) != dict(usual):
        parts.append(f"On another machine: {', '.join(f'{name} {value}' for name, value in one.machine.items())}.\n")
    if one.failed:
        parts.append(f"**Failed: {one.failed}.**\n")
    if one.figures:
        parts.append(_COLUMNS + "".join(map(_row, one.figures)))
    parts += ["".join(f"* Skipped: {why}\n" for why in one.skipped)] if one.skipped else []
    return "\n".join(parts)


def _row(figure: Figure) -> str:
    spread = "" if figure.low is None or figure.high is None else f"{number(figure.low)} – {number(figure.high)}"
    verdict_told = {None: "", True: "reached", False: "**missed**"}[figure.met]
    ours = f"{number(figure.value)} {figure.unit}".strip()
    cells = (figure.what, ours, spread, figure.against, figure.target, verdict_told, figure.note)
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
