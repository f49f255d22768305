"""What a report may say about what is not there, or is as it should be, and when that is true."""

from __future__ import annotations

from collections.abc import Iterable

_BROAD = ("bundle", "ventricular-origin", "pre-excitation", "ventricular-conduction", "third-degree-av-block")
_ST = ("acute-st", "fast", "chamber", *_BROAD)
_T = (*_ST, "t-wave", "infarction", "repolarisation", "flutter")

#: Statement, and the names, slots and tags that must all be absent for it to be true.
NEGATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("no ST elevation", ("acute-st", *_BROAD, "chamber")),
    ("no ST segment elevation or depression", _ST),
    ("no ST depression", _ST),
    ("no acute ST changes", ("acute-st", "repolarisation")),
    ("no acute ischaemic changes", ("acute-st", "repolarisation", "infarction")),
    ("no evidence of acute ischemia", ("acute-st", "repolarisation", "infarction")),
    ("no significant ST-T abnormality", _T),
    ("no T wave inversion", _T),
    ("no pathological Q waves", ("infarction", "chamber", *_BROAD)),
    ("no evidence of myocardial infarction", ("infarction", "acute-st", *_BROAD)),
    ("no old infarct", ("infarction", *_BROAD)),
    ("no atrial fibrillation", ("atrial-fibrillation", "paced-rhythm")),
    ("no atrial fibrillation or flutter", ("atrial-fibrillation", "flutter", "paced-rhythm")),
    ("no bundle branch block", ("bundle", "ventricular-origin", "pre-excitation", "third-degree-av-block")),
    ("no AV block", ("av-block", "no-sinus")),
    ("no evidence of heart block", ("av-block", "no-sinus", "bundle", "ventricular-conduction")),
    ("no ectopic beats", ("atrial-ectopy", "ventricular-ectopy")),
    ("no premature beats", ("atrial-ectopy", "ventricular-ectopy")),
    ("no chamber enlargement", ("chamber", "atrial-shape")),
    ("no ventricular hypertrophy", ("chamber", *_BROAD)),
    ("no sign of atrial enlargement", ("atrial-shape", "no-sinus")),
    ("no QT prolongation", ("long-qt", *_BROAD)),
    ("no delta wave", ("pre-excitation", "ventricular-origin")),
    ("no pre-excitation", ("pre-excitation", "ventricular-origin")),
    ("no axis deviation", ("axis", "left-axis-deviation", "right-axis-deviation", "ventricular-origin", "third-degree-av-block")),
    ("no sign of pericarditis", ("acute-st",)),
    ("no pacemaker spikes", ("paced-rhythm",)),
    ("no peaked T waves", ("hyperkalaemia", "acute-st")),
)

#: The same for what is as it should be.
NORMAL_FINDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("normal axis", NEGATIONS[24][1]),
    ("normal QRS axis", NEGATIONS[24][1]),
    ("normal frontal axis", NEGATIONS[24][1]),
    ("normal PR interval", ("av-block", "pre-excitation", "no-sinus", "dropped-beats")),
    ("normal AV conduction", ("av-block", "pre-excitation", "no-sinus", "dropped-beats")),
    ("normal QRS duration", (*_BROAD, "hyperkalaemia")),
    ("narrow QRS complexes", (*_BROAD, "ventricular-ectopy")),
    ("normal QT interval", ("long-qt", "fast", *_BROAD)),
    ("intervals normal", ("long-qt", "fast", "no-sinus", "av-block", *_BROAD)),
    ("ST segments isoelectric", _ST),
    ("normal ST segments", _ST),
    ("T waves upright", _T),
    ("normal T waves", _T),
    ("normal R wave progression", ("infarction", "chamber", "low-voltage", "r-progression", *_BROAD)),
    ("normal P waves", ("atrial-shape", "no-sinus", "atrial-ectopy", "hyperkalaemia")),
    ("normal voltage", ("chamber", "low-voltage", "ventricular-origin", "bundle")),
    ("normal repolarization", _T),
)


def true_statements(statements: Iterable[tuple[str, tuple[str, ...]]], groups: frozenset[str]) -> list[str]:
    """Those statements whose absent groups are indeed absent."""
    return [text for text, absent in statements if groups.isdisjoint(absent)]
