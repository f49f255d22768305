"""Twelve faults put into 500 clean real records: how many are found, what is wrongly accused, and people's verdicts on quality.

Run: OMP_NUM_THREADS=1 python benchmarks/faults/record_faults.py [DATA] [--records 500] [--json FILE]

Clean is what PTB-XL's own table complains of nothing in, and whose twelve leads all carry something. All such records of folds 9
and 10 are taken, which no weight and no threshold was fitted on, and of folds 1 to 8 as many as are missing from 500, those whose
numbers' SHA-256 come first. Figures for the former alone stand beside. A fault is *found* where the flag that names it is there,
or where the record is refused, as it then is by `cmelt prepare`. A false alarm is any flag of the twelve faults on a record as it
is. People's verdicts are those of the Challenge 2011, of the half that nothing was chosen on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmelt.records.quality import quality_flags
from cmelt.records.record import Record

sys.path.append(str(Path(__file__).resolve().parents[1]))
from measuring import Figure, options, tell, verdict
from quality import share, share_figure
from quality_records import (
    FIT_FOLDS,
    HELD_FOLDS,
    NONE_HERE,
    challenge,
    challenge_2011,
    clean_records,
    data_folder,
    halves,
)
from record_changes import FAULTS, alarms, shares_found


def so_many_clean(data: Path, count: int) -> tuple[list[Record], int]:
    """`count` clean records, those of the held folds first, and how many of these there are."""
    held = clean_records(data, HELD_FOLDS)[:count]
    more = clean_records(data, FIT_FOLDS)[: count - len(held)] if len(held) < count else []
    return held + more, len(held)


def fault_figures(records: Sequence[Record], held: int) -> list[Figure]:
    """The table of faults and false alarms, printed, and its figures."""
    print(f"\n## Faults put into {len(records)} clean records, {held} of them of folds 9 and 10\n")
    print("| fault | found | named | found, folds 9 and 10 alone |\n|---|---|---|---|")
    figures = []
    for name, (hits, named) in shares_found(records).items():
        print(f"| {name} | {share(hits)} | {share(named)} | {share(hits[:held])} |")
        target = FAULTS[name][1]
        figure = share_figure(f"found: {name}", hits)
        figures.append(replace(figure, target=target, met=verdict(figure.value, target)))
        if name.startswith(("rate", "chest")):
            figures.append(share_figure(f"found: {name}, folds 9 and 10 alone", hits[:held]))
    accused = alarms(records)
    for kind in sorted(set().union(*accused)):
        print(f"| false alarm: {kind} | {share([kind in those for those in accused])} | | |")
    wrong = [bool(those) for those in accused]
    print(f"| false alarm: any of the twelve | {share(wrong)} | | {share(wrong[:held])} |")
    figure = share_figure("false alarms, any of the twelve faults", wrong)
    figures.append(replace(figure, target="≤ 1", met=verdict(figure.value, "≤ 1")))
    return [*figures, share_figure("false alarms, folds 9 and 10 alone", wrong[:held])]


def elsewhere_figures(data: Path) -> list[Figure]:
    """The same on other hospitals' records, which are not chosen for being clean: where the rate check is weaker."""
    figures = []
    print("\n## Records of other hospitals, all at hand whose leads all carry something\n")
    print("| records | fault | found |\n|---|---|---|")
    for place, part in (("Chapman–Ningbo", "chapman-ningbo"), ("CPSC 2018", "cpsc2018*")):
        records = [
            record for record in challenge(data, part) if not any(flag.startswith("flat") for flag in quality_flags(record))
        ]
        for name, (hits, _) in shares_found(records).items():
            if not all(hits):
                print(f"| {place} | {name} | {share(hits)} |")
                figures.append(share_figure(f"found: {name}, {place}", hits))
        wrong = [bool(those) for those in alarms(records)]
        print(f"| {place} | false alarm: any of the twelve | {share(wrong)} |")
        figures.append(share_figure(f"false alarms, {place}", wrong))
    return figures


def verdict_figures(data: Path) -> list[Figure]:
    """Ours on quality against people's, on the half of the Challenge 2011 that nothing was chosen on."""
    records, acceptable = challenge_2011(data)
    _, held = halves(len(records))
    poor = np.array(["poor-quality" in quality_flags(records[row]) for row in held])
    bad = acceptable[held] == 0
    figures = []
    print(f"\n## Poor quality against people's verdicts, {len(held)} records\n")
    for name, hits in (("sensitivity", poor[bad]), ("specificity", ~poor[~bad])):
        print(f"{name} {share(hits)}")
        figure = share_figure(f"poor quality against people's verdicts: {name}", hits)
        figures.append(replace(figure, target="≥ 90", met=verdict(figure.value, "≥ 90")))
    return figures


def main() -> None:
    """Everything, in the order of docs/reliability.md."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", help="the folder of real ECGs")
    parser.add_argument("--records", type=int, default=500, help="clean records")
    chosen = parser.parse_args()
    data = data_folder(chosen.data)
    if data is None:
        tell([], chosen.json, [NONE_HERE])
        return
    records, held = so_many_clean(data, chosen.records)
    tell(fault_figures(records, held) + elsewhere_figures(data) + verdict_figures(data), chosen.json)


if __name__ == "__main__":
    main()
