"""In which leads a beat shows what: so that a report names leads that are true of its record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import LEADS
from cmelt.simulation.complexes import Complex
from cmelt.simulation.heart import Heart
from cmelt.simulation.torso import LEADS_FROM_ELECTRODES
from cmelt.simulation.wave import trace

Array = NDArray[np.float64]

#: Millivolts: what a reader calls a displaced ST segment, a negative and a flat T wave, a Q wave.
ST_UP, ST_UP_V1_TO_V3, ST_DOWN, T_NEGATIVE, T_FLAT, Q_DEEP = 0.1, 0.2, -0.05, -0.08, 0.06, -0.1
#: A Q wave means something from this duration (s) and this share of R on.
Q_SECONDS, Q_OF_R = 0.03, 0.25

_LEFT = ("I", "II", "aVF", "V3", "V4", "V5", "V6")
_SEEN_IN = ("I", "II", "III", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
#: Q and negative T are usual in the first unless the second has them too.
_USUAL = {"III": "aVF", "V1": "V2"}


@dataclass(frozen=True)
class LeadFindings:
    """Leads by what the conducted beat shows in them, in the order I, II, III, aVL, aVF, V1 … V6 (never aVR)."""

    q: tuple[str, ...] = ()
    st_up: tuple[str, ...] = ()
    st_down: tuple[str, ...] = ()
    t_negative: tuple[str, ...] = ()
    t_flat: tuple[str, ...] = ()


def lead_findings(beat: Complex, heart: Heart) -> LeadFindings:
    """What the complex `beat` of `heart` shows, by lead. A single lead is no finding, two or more are."""
    view, t_view = (LEADS_FROM_ELECTRODES @ e for e in (heart.electrodes, heart.views[:, 3:6]))  # [12, 3]
    t_view = t_view if t_view.size else view
    st, t = (dict(zip(LEADS, t_view @ vector, strict=True)) for vector in (beat.st, beat.t))
    times, vector = trace(beat.qrs)
    qrs = dict(zip(LEADS, view @ vector.T, strict=True))
    return LeadFindings(
        q=_several(lead for lead in _SEEN_IN if _has_q(times, qrs[lead])),
        st_up=_several(lead for lead in _SEEN_IN if st[lead] > (ST_UP_V1_TO_V3 if lead in ("V1", "V2", "V3") else ST_UP)),
        st_down=_several(lead for lead in _SEEN_IN if st[lead] < ST_DOWN),
        t_negative=_several(lead for lead in _SEEN_IN if t[lead] < T_NEGATIVE),
        t_flat=_several(lead for lead in _LEFT if abs(t[lead]) < T_FLAT),
    )


def _several(leads: Iterable[str]) -> tuple[str, ...]:
    """The leads, less those that show it in many healthy people when their neighbour does not; none where one is left."""
    found = tuple(leads)
    kept = tuple(lead for lead in found if _USUAL.get(lead) is None or _USUAL[lead] in found)
    return kept if len(kept) > 1 else ()


def _has_q(times: Array, lead: Array) -> bool:
    """Whether the QRS `lead` [n] at `times` (s) begins with a deflection down that is deep and long enough."""
    seen = np.flatnonzero(np.abs(lead) > 0.03)
    if not seen.size or lead[seen[0]] > 0:
        return False
    up = np.flatnonzero(lead[seen[0] :] >= 0)
    end = seen[0] + int(up[0]) if up.size else len(lead) - 1
    depth = float(lead[seen[0] : end + 1].min())
    return bool(depth < Q_DEEP and times[end] - times[seen[0]] >= Q_SECONDS and -depth >= Q_OF_R * max(float(lead.max()), 0.0))


def listed(leads: tuple[str, ...], chest: str) -> str:
    """The leads as reports list them: "I, aVL, V4-V6"; `chest` is "range", "short_range" or "commas"."""
    limb = [lead for lead in leads if not lead.startswith("V")]
    numbers = [int(lead[1:]) for lead in leads if lead.startswith("V")]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(limb + [_run(run, chest) for run in runs])


def _run(run: list[int], chest: str) -> str:
    first, last = run[0], run[-1]
    if first == last:
        return f"V{first}"
    if chest == "commas":
        return "V" + ",".join(map(str, run))
    return f"V{first}-{last}" if chest == "short_range" else f"V{first}-V{last}"
