"""Quality flags in words, for people: what a header, a table or a warning says of a record."""

from __future__ import annotations

#: Flag, without what follows its colon → a clause; {} stands for the lead, leads or figure that follow.
_WORDS = {
    "nan": "{} has gaps",
    "flat": "{} is flat",
    "clipped": "{} is clipped",
    "dropout": "{} has a second or more without any signal",
    "jump": "{} has jumps that no heart makes",
    "missing": "{} is not recorded",
    "partly-missing": "{} is missing in part",
    "derived": "{} is computed from other leads",
    "interpolated": "short gaps of {} are bridged",
    "noisy": "{} is noisy",
    "duplicated": "{} hold the same samples",
    "limb-swapped": "{} look exchanged",
    "limb-inverted": "{} looks inverted",
    "limb-inconsistent": "the limb leads contradict one another",
    "arms-reversed": "the arm electrodes look reversed",
    "electrodes-exchanged": "electrodes look exchanged: {}",
    "upside-down": "the whole record looks upside down",
    "chest-inverted": "{} looks inverted",
    "chest-swapped": "{} look exchanged",
    "chest-reversed": "V1 to V6 look as if in reverse",
    "short": "shorter than 5 s",
    "poor-quality": "poor quality in all leads",
    "drifting": "the baselines wander strongly",
    "low-voltage": "low voltage in all leads (or a wrong gain)",
    "high-voltage": "unusually high voltage (or a wrong gain)",
    "mains": "{} Hz hum of the mains",
    "unit-suspect": "the unit looks wrong: beats of under 0.03 mV in every lead",
    "rate-suspect": "the stated sampling rate looks wrong: {}",
    "padded": "shorter than the model's window, padded",
    "cropped": "longer than the model's window, cropped",
}
_RATES = {"×2": "twice the true one", "÷2": "half the true one"}
#: Flags of one lead each that are told together: "V1, V2 are noisy" takes less room than two clauses.
_PLURAL = {" is ": " are ", " has ": " have ", " looks ": " look "}

#: What can make an answer about an ECG wrong however good the model is: names, order, unit, gain, rate, length of what it got.
DOUBTFUL = ("limb-swapped", "limb-inverted", "limb-inconsistent", "arms-reversed", "electrodes-exchanged", "duplicated",
            "upside-down", "chest-inverted", "chest-swapped", "chest-reversed", "dropout", "unit-suspect",
            "rate-suspect", "low-voltage", "high-voltage", "drifting", "poor-quality", "short")  # fmt: skip


def in_words(flag: str) -> str:
    """One flag of `quality_flags` or `standardise` as a clause; one that is not known here, as it is."""
    kind, _, about = flag.partition(":")
    return _clause(kind, [about]) if kind in _WORDS else flag


def flags_in_words(flags: tuple[str, ...] | list[str]) -> list[str]:
    """Clauses for many flags, those of one kind together, in the order in which the kinds first occur."""
    by_kind: dict[str, list[str]] = {}
    for flag in flags:
        kind, _, about = flag.partition(":")
        by_kind.setdefault(kind, []).append(about)
    return [_clause(kind, about) if kind in _WORDS else kind for kind, about in by_kind.items()]


def _clause(kind: str, about: list[str]) -> str:
    words = _WORDS[kind]
    if kind in ("limb-swapped", "chest-swapped", "duplicated", "electrodes-exchanged"):
        named = "; ".join(one.replace("/", " and ") for one in about)
    elif kind == "rate-suspect":
        named = ", ".join(_RATES.get(one, one) for one in about)
    else:
        named = ", ".join(about)
    if len(about) > 1:
        for one, many in _PLURAL.items():
            words = words.replace(one, many, 1)
    return words.format(named)
