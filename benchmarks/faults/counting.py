"""Parts of a campaign, trial by trial: begun, gone on with, counted, and kept as JSON with figures for benchmarks/RESULTS.md."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[2]
RESULTS = HOUSE / "benchmarks" / "faults" / "results"
sys.path[:0] = [str(HOUSE / "tests" / "faults"), str(HOUSE / "benchmarks")]

from tally import Tally  # noqa: E402

from measuring import Figure, machine  # noqa: E402

#: Seconds after which counts are written down, and what a kill may lose.
_KEPT_EVERY = 5.0


@dataclass(frozen=True)
class Part:
    """One line of the page.

    Attributes:
        what: what is done, and what must come of it.
        trials: how many there are.
        trial: trial number 0 … in a scratch folder; one that strikes thrice counts three times.
    """

    what: str
    trials: int
    trial: Callable[[int, Path], Tally]


@dataclass(frozen=True)
class Campaign:
    """Parts by name, and the file that their counts are kept in."""

    parts: Mapping[str, Part]
    results: Path

    def run(self, chosen: Iterable[str], scratch: Path, seconds: float, *, anew: bool) -> int:
        """Go on with the chosen parts where they stand, and begin no trial after so many seconds; 1 where one went wrong."""
        names, end, kept = list(chosen), time.monotonic() + seconds, 0.0
        told = {name: found for name, found in self._kept().items() if not (anew and name in names)}
        for name in names:
            count = told.setdefault(name, {"trials": 0, "good": 0, "total": 0, "wrong": [], "figures": {}})
            while count["trials"] < self.parts[name].trials and time.monotonic() < end:
                _add(count, self.parts[name].trial(count["trials"], scratch))
                count["trials"] += 1
                if time.monotonic() > kept + _KEPT_EVERY:
                    self._keep(told)
                    kept = time.monotonic()
            self._keep(told)
            print(f"{name}: {count['good']} of {count['total']} as promised", *count["wrong"], sep="\n  ", flush=True)
        return int(any(told[name]["wrong"] for name in names))

    def _kept(self) -> dict[str, Any]:
        kept = json.loads(self.results.read_text(encoding="utf-8"))["parts"] if self.results.exists() else {}
        return {name: {**told, "figures": dict(told["figures"])} for name, told in kept.items() if name in self.parts}

    def _keep(self, parts: Mapping[str, Any]) -> None:
        done = {name: told for name, told in parts.items() if told["total"]}
        figures = [asdict(figure_of(self.parts[name], told)) for name, told in done.items()]
        content = {"date": date.today().isoformat(), "machine": machine(), "figures": figures, "parts": done}
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def figure_of(part: Part, told: Mapping[str, Any]) -> Figure:
    """The share of trials that went as promised, with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    share = binomtest(told["good"], told["total"]).proportion_ci(method="wilson")
    value, met = 100.0 * told["good"] / told["total"], told["good"] == told["total"]
    figures = "; ".join(
        f"{name}: {found['least']:.3g} to {found['most']:.3g}, {found['sum']:.6g} in all"
        for name, found in told["figures"].items()
    )
    note = f"{told['good']} of {told['total']}; spread: 95 % interval (Wilson)" + (f"; {figures}" if figures else "")
    return Figure(part.what, value, "%", low=100 * share.low, high=100 * share.high, target="≥ 100", met=met, note=note)


def _add(told: dict[str, Any], tally: Tally) -> None:
    """One trial's tally into what is kept of its part; of figures, their number, sum and range."""
    told["good"] += tally.good
    told["total"] += tally.total
    told["wrong"] += tally.wrong
    for name, values in tally.figures.items():
        found = told["figures"].setdefault(name, {"count": 0, "sum": 0.0, "least": min(values), "most": max(values)})
        found["count"] += len(values)
        found["sum"] = round(found["sum"] + sum(values), 6)
        found["least"], found["most"] = min(found["least"], *values), max(found["most"], *values)
