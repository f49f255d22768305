"""The same report told in another order: what the ECG shows does not depend on which finding is named first."""

from __future__ import annotations

import re

import numpy as np

# A statement ends at a full stop, semicolon or line break. Not at a comma: "q waves in v1,2, avl, v5,6" is one statement, and
# PTB-XL's German reports use neither ("sinusrhythmus linkstyp"): they stay whole.
_BOUNDARY = re.compile(r"(?<=[^\s.;])\s*(?:\.(?=\s)|;|\n)\s*")

# Words that end in a full stop without ending the statement, as they occur in PTB-XL's folds 1-8.
_ABBREVIATED = frozenset(
    re.findall(
        r"\S+",
        """unbest intraventr mögl moegl path neg chron ant ventr supraventr biphas kompl amplitudkrit sign fragl pat inf vd post
        lat descend indiff insbes ablt abl approx teilw term wahrsch verd unspez st.n z.t z.b bzw ca evtl ggf sin reg vs dr no""",
    )
)

# Statements that speak of the one before ("this may be due to strain", "the cause is not evident") stay behind it.
_LEANS_BACK = re.compile(
    r"(?:this|these|those|it|they|here|which|findings|consistent with|suggest\w*|non-specific but|but|and|or|possibly|probably"
    r"|the (?:cause|former|latter|age|significance|changes?))\b"
)


def statements(report: str) -> list[str]:
    """The report's statements in order, without their full stops; one where no boundary is found.

    A remark on the statement before it ("this may be due to strain") is part of that statement.
    """
    found: list[str] = []
    for sentence in _sentences(report):
        if found and _LEANS_BACK.match(sentence):
            found[-1] = f"{found[-1]}. {sentence}"
        else:
            found.append(sentence)
    return found


def shuffle_sentences(report: str, rng: np.random.Generator, drop: float = 0.0) -> str:
    """The report's statements in random order, each left out with probability `drop`; at least one is always kept.

    Args:
        report: a cleaned report. One without statement boundaries comes back unchanged.
        rng: where the order comes from; the same state gives the same result.
        drop: in [0, 1).

    Raises:
        ValueError: `drop` is outside [0, 1).
    """
    if not 0.0 <= drop < 1.0:
        raise ValueError(f"drop must lie in [0, 1), not {drop}")
    parts = statements(report)
    if len(parts) < 2:
        return report
    order = rng.permutation(len(parts))
    kept = rng.random(len(parts)) >= drop
    if not kept.any():
        kept[rng.integers(len(parts))] = True
    return ". ".join(parts[place] for place in order[kept])


def _sentences(report: str) -> list[str]:
    """What stands between the boundaries, empty ones left out."""
    found: list[str] = []
    start = 0
    for boundary in _BOUNDARY.finditer(report):
        if _inside_statement(report, boundary):
            continue
        found.append(report[start : boundary.start()].strip())
        start = boundary.end()
    found.append(report[start:].strip().removesuffix("."))
    return [sentence for sentence in found if sentence]


def _inside_statement(report: str, boundary: re.Match[str]) -> bool:
    """Whether a full stop only marks an abbreviation ("alter unbest. t neg") or a number ("1. grades")."""
    if "." not in boundary.group():
        return False
    word = report[: boundary.start()].rsplit(maxsplit=1)[-1].lstrip("([\"'")
    return word in _ABBREVIATED or word.isdigit() or report[: boundary.start()].count("(") > report[: boundary.start()].count(")")
