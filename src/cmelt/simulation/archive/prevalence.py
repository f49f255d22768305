"""How often an archive's records have what, per thousand.

Rounded from PTB-XL's statements in folds 1 to 8 (17,418 records), from what Chapman, Ningbo and CPSC report where PTB-XL has no
statement of it, and raised where rare: what one record in a thousand has is drawn as if six had it, so that a model sees enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Nothing is drawn more rarely than this, per thousand.
RAREST = 6.0

_PER_THOUSAND = {
    "sinus-bradycardia": 60,
    "sinus-tachycardia": 55,
    "sinus-arrhythmia": 40,
    "atrial-fibrillation": 75,
    "atrial-flutter": 8,
    "supraventricular-tachycardia": 8,
    "paced-rhythm": 16,
    "atrial-premature-beats": 28,
    "ventricular-premature-beats": 50,
    "left-ventricular-hypertrophy": 85,
    "right-ventricular-hypertrophy": 8,
    "left-atrial-enlargement": 35,
    "left-axis-deviation": 50,
    "right-axis-deviation": 15,
    "low-voltage": 22,
    "left-anterior-fascicular-block": 70,
    "left-bundle-branch-block": 30,
    "right-bundle-branch-block": 32,
    "incomplete-right-bundle-branch-block": 52,
    "first-degree-av-block": 50,
    "old-anterior-infarction": 25,
    "old-inferior-infarction": 95,
    "old-lateral-infarction": 12,
    "ischaemic-st-depression": 30,
    "t-wave-inversion": 18,
    "long-qt": 16,
    "high-qrs-voltage": 45,
    "clockwise-rotation": 10,
    "counterclockwise-rotation": 12,
    "intraventricular-conduction-delay": 40,
    "left-posterior-fascicular-block": 8,
    "old-anteroseptal-infarction": 85,
    "old-anterolateral-infarction": 16,
    "old-inferolateral-infarction": 22,
    "abnormal-q-waves": 25,
    "poor-r-wave-progression": 14,
    "nonspecific-t-changes": 95,
    "low-t-waves": 25,
    "nonspecific-st-depression": 55,
    "digitalis-effect": 9,
    "anteroseptal-ischaemia": 12,
    "anterolateral-ischaemia": 38,
    "lateral-ischaemia": 14,
    "inferior-ischaemia": 12,
    "inferolateral-ischaemia": 16,
    "anteroseptal-injury": 9,
    "anterolateral-injury": 8,
    "lateral-t-inversion": 10,
    "anterolateral-t-inversion": 10,
}

#: Per thousand, by name, of the conditions that are more frequent than `RAREST`.
PREVALENCE: Mapping[str, float] = MappingProxyType({name: float(max(count, RAREST)) for name, count in _PER_THOUSAND.items()})
