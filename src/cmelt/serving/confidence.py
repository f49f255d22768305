"""How sure to be of a score: a probability with its interval where validation records allow one, and where none can be told.

A calibration belongs to weights, to the words that a class is asked in, and to one scoring. Any other combination has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.config.parsing import from_mapping
from cmelt.errors import CheckpointError, ConfigError
from cmelt.records.flag_words import DOUBTFUL, in_words
from cmelt.serving.unusual import Familiar

if TYPE_CHECKING:
    from cmelt.evaluation.tasks import Task, TaskClass
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.serving.processor import Facts

CALIBRATION = "calibration.json"
FORMAT, VERSION = "cmelt-calibration", 1
NOISY, SWAPPED, UNLIKE, NO_ECG = "too noisy", "leads look swapped", "unlike the training data", "not an ECG"
#: Kinds of quality flags that say a lead is not what its name says.
_MISTAKEN = ("limb-swapped", "limb-inverted", "limb-inconsistent", "arms-reversed", "electrodes-exchanged", "duplicated",
             "upside-down", "chest-inverted", "chest-swapped", "chest-reversed")  # fmt: skip
#: Kind of quality flag → what it makes of the whole record.
_VERDICTS = {"poor-quality": NOISY, **dict.fromkeys(_MISTAKEN, SWAPPED)}


@dataclass(frozen=True)
class Curve:
    """Probability by score, straight between K rising scores and flat beyond them: no validation record lies there.

    Attributes:
        scores: [K], rising.
        probability: [K].
        low, high: [K], 2.5 % and 97.5 % points of the curves that other draws of the validation patients give.
    """

    scores: tuple[float, ...]
    probability: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n] scores → [3, n]: probability, low, high."""
        return np.stack([np.interp(scores, self.scores, values) for values in (self.probability, self.low, self.high)])


@dataclass(frozen=True)
class ClassCalibration:
    """One class.

    Attributes:
        task, name: where it was fitted.
        asked: what it is asked in, and how it is scored (`question_of`): what a curve is looked up by.
        kind: "platt", "isotonic", or "none" where the records do not allow any.
        records, positives: of the validation records of the task's population.
        patients, positive_patients: of these.
        loss: log loss in cross-validation over patients, by kind; "prevalence" is that of no score at all.
        why_none: the reason where there is no curve.
    """

    task: str
    name: str
    asked: str
    kind: str
    records: int
    positives: int
    patients: int
    positive_patients: int
    loss: dict[str, float] = field(default_factory=dict)
    why_none: str = ""
    curve: Curve | None = None


@dataclass(frozen=True)
class Calibration:
    """All that is known of how far scores of one model can be trusted.

    Attributes:
        weights, store: SHA-256 of the weights' file, and of the store that it was fitted on.
        split: of that store.
        made: the day, year-month-day.
        bootstrap, seed: of the intervals and folds.
    """

    weights: str
    store: str
    split: str
    made: str
    bootstrap: int
    seed: int
    familiar: Familiar
    classes: tuple[ClassCalibration, ...]

    def of(self, task: Task, name: str, scoring: Scoring) -> ClassCalibration | None:
        """What is known of a class: of the task itself where it has the class in these words, else of any other that has."""
        asked = question_of(task.classes[name], scoring)
        found = [one for one in self.classes if one.asked == asked]
        own = [one for one in found if one.task == task.name]
        return next(iter(own or found), None)

    def to_json(self) -> str:
        """As it lies beside the weights."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class Confidence:
    """What `judge` has to say of n records and C classes.

    Attributes:
        probabilities, low, high: [n, C] float32, NaN where there is none; None where no class has any.
        flags: of each record, in words: "not an ECG", "too noisy", "leads look swapped", "unlike the training data".
        cannot_tell: of each record, why it gets no probability; None where nothing speaks against one.
    """

    probabilities: NDArray[np.float32] | None
    low: NDArray[np.float32] | None
    high: NDArray[np.float32] | None
    flags: tuple[tuple[str, ...], ...]
    cannot_tell: tuple[str | None, ...]


def question_of(asked: TaskClass, scoring: Scoring) -> str:
    """What a class is asked in and scored by, as 16 hexadecimal digits; its name plays no part in its scores, nor in this."""
    against = {"contrast": asked.negative_prompts, "pairs": asked.absent_prompts, "similarity": ()}[scoring]
    said = json.dumps([scoring, sorted(asked.prompts), sorted(against)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def read_calibration(folder: Path, weights: str) -> Calibration | None:
    """The calibration beside the weights in `folder`; None where there is none.

    Raises CheckpointError for a file that is none of ours, and for one of other weights: its probabilities would be made up.
    """
    path = folder / CALIBRATION
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if said.pop("format") != FORMAT or said.pop("version") != VERSION:
            raise ValueError("format")
        found = from_mapping(Calibration, said, str(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        fault = f"cannot be read as a calibration ({type(error).__name__})"
        raise CheckpointError(path, fault, "remove it, or make it again with cmelt calibrate") from error
    if found.weights != weights:
        raise CheckpointError(path, "is of other weights than the model's", "remove it, or make it again with cmelt calibrate")
    return found


def judge(
    calibration: Calibration | None,
    task: Task,
    scoring: Scoring,
    vectors: NDArray[np.float32],
    scores: NDArray[np.float32],
    facts: Sequence[Facts],
) -> Confidence:
    """What can be said of the scores [n, C] of records with embeddings [n, D].

    A doubtful recording, one that lacks leads, or one unlike those that the calibration was fitted on gets no probability.
    """
    unlike = np.zeros(len(vectors), bool) if calibration is None else calibration.familiar.unlike(vectors)
    flags = tuple(_verdicts(one.flags, bool(far)) for one, far in zip(facts, unlike, strict=True))
    reasons = tuple(_why_not(one, bool(far)) for one, far in zip(facts, unlike, strict=True))
    if calibration is None:
        return Confidence(None, None, None, flags, reasons)
    told = np.full((3, *scores.shape), np.nan, np.float32)
    known = [calibration.of(task, name, scoring) for name in task.classes]
    for column, one in enumerate(known):
        if one is not None and one.curve is not None:
            told[:, :, column] = one.curve.at(scores[:, column])
    if all(one is None or one.curve is None for one in known):
        return Confidence(None, None, None, flags, reasons)
    told[:, [reason is not None for reason in reasons]] = np.nan
    return Confidence(told[0], told[1], told[2], flags, reasons)


def _verdicts(flags: Sequence[str], unlike: bool) -> tuple[str, ...]:
    """Quality flags of a record as verdicts on the whole of it, each once.

    What has no beats that stand out of its noise, and is unlike every ECG that is known, is taken for none.
    """
    found = [_VERDICTS[kind] for kind in (flag.partition(":")[0] for flag in flags) if kind in _VERDICTS]
    none = [NO_ECG] if unlike and NOISY in found else []
    return tuple(dict.fromkeys([*none, *found, *([UNLIKE] if unlike else [])]))


def _why_not(facts: Facts, unlike: bool) -> str | None:
    """Why this record gets no probability."""
    reasons = [in_words(flag) for flag in facts.flags if flag.partition(":")[0] in DOUBTFUL]
    if facts.missing_leads:
        reasons.append(f"{', '.join(facts.missing_leads)} not recorded, and probabilities were fitted on whole ECGs")
    if unlike:
        reasons.append("the ECG is unlike those that probabilities were fitted on")
    return "; ".join(reasons) or None
