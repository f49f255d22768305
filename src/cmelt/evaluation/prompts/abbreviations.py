"""Statements by the abbreviations of the clinic and of the datasets; one that means two things is refused, not guessed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts.wording import statements

#: Statement → its abbreviations, in small letters.
_OF = {
    "normal-ecg": "norm normal",
    "sinus-rhythm": "sr nsr sinus",
    "atrial-fibrillation": "afib",
    "atrial-flutter": "aflt afl aflutter",
    "sinus-tachycardia": "stach",
    "sinus-bradycardia": "sbrad sb",
    "bradycardia": "brady",
    "sinus-arrhythmia": "sarrh",
    "paced-rhythm": "pace paced pacemaker",
    "supraventricular-arrhythmia": "svarr",
    "supraventricular-tachycardia": "svt svtac",
    "paroxysmal-supraventricular-tachycardia": "psvt",
    "av-nodal-reentrant-tachycardia": "avnrt",
    "av-reentrant-tachycardia": "avrt",
    "left-bundle-branch-block": "lbbb clbbb",
    "incomplete-left-bundle-branch-block": "ilbbb",
    "right-bundle-branch-block": "rbbb crbbb",
    "incomplete-right-bundle-branch-block": "irbbb",
    "bundle-branch-block": "bbb",
    "left-anterior-fascicular-block": "lafb lanfb",
    "left-posterior-fascicular-block": "lpfb",
    "intraventricular-conduction-disturbance": "ivcd nsivcb",
    "first-degree-av-block": "1avb avb1 iavb 1davb",
    "second-degree-av-block": "2avb avb2 iiavb",
    "third-degree-av-block": "3avb avb3 iiiavb",
    "av-block": "avb",
    "wolff-parkinson-white": "wpw",
    "ventricular-premature-beats": "pvc pvcs vpb vpc",
    "atrial-premature-beats": "pac pacs apb apc",
    "left-ventricular-hypertrophy": "lvh",
    "right-ventricular-hypertrophy": "rvh",
    "left-atrial-enlargement": "lae lao/lae",
    "right-atrial-enlargement": "rae rao/rae rah",
    "left-axis-deviation": "lad",
    "right-axis-deviation": "rad",
    "myocardial-infarction": "mi",
    "inferior-infarction": "imi",
    "anteroseptal-infarction": "asmi",
    "anterolateral-infarction": "almi",
    "inferolateral-infarction": "ilmi",
    "lateral-infarction": "lmi",
    "posterior-infarction": "pmi",
    "st-depression": "std stdd",
    "t-wave-inversion": "twi invt tinv",
    "long-qt": "lqt lngqt qtie",
    "poor-r-wave-progression": "prwp",
    "low-qrs-voltage": "lvolt lqrsv lvqrsal",
    "p-wave-abnormality": "pwc",
    "prolonged-pr-interval": "lpr prie",
    "wenckebach-av-block": "2avb1",
    "mobitz-ii-av-block": "2avb2",
    "ventricular-pre-excitation": "vpe",
    "premature-beats": "prc(s) prc",
    "junctional-premature-beats": "jpt jpb",
    "bigeminy": "bigu",
    "trigeminy": "trigu",
    "atrial-bigeminy": "abi",
    "ventricular-trigeminy": "vet",
    "junctional-escape-beats": "jeb",
    "ventricular-fusion-beats": "vfw",
    "inferoposterior-infarction": "ipmi",
    "inferoposterolateral-infarction": "iplmi",
    "anteroseptal-injury": "injas",
    "anterolateral-injury": "injal",
    "inferior-injury": "injin",
    "lateral-injury": "injla",
    "inferolateral-injury": "injil",
    "ischaemia": "isc",
    "anterolateral-ischaemia": "iscal",
    "inferior-ischaemia": "iscin",
    "inferolateral-ischaemia": "iscil",
    "anteroseptal-ischaemia": "iscas",
    "lateral-ischaemia": "iscla",
    "anterior-ischaemia": "iscan",
    "ventricular-aneurysm": "aneur",
    "counterclockwise-rotation": "ccr",
    "low-limb-lead-voltage": "lvqrsll",
    "low-chest-lead-voltage": "lvqrscl",
    "high-qrs-voltage": "hvolt",
    "voltage-criteria-for-lvh": "vclvh",
    "abnormal-qrs": "abqrs",
    "q-waves": "qwave aqw qab",
    "fragmented-qrs": "fqrs",
    "septal-hypertrophy": "sehyp",
    "non-diagnostic-t-abnormality": "ndt",
    "non-specific-st-change": "nst",
    "non-specific-t-change": "nt",
    "st-elevation": "sttu",
    "early-repolarisation": "erv",
    "low-t-waves": "lowt",
    "t-wave-abnormality": "tab twc",
    "digitalis-effect": "dig",
    "electrolyte-or-drug-effect": "el",
    "wandering-pacemaker": "wavn",
}
STATEMENT_OF: Mapping[str, str] = MappingProxyType({short: name for name, all_of in _OF.items() for short in all_of.split()})

#: What one dataset calls one thing and another, or the clinic, another.
AMBIGUOUS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "af": ("atrial-fibrillation", "atrial-flutter"),  # CODE, Challenge; CSN
        "st": ("sinus-tachycardia", "st-elevation", "st-depression"),  # CODE, CSN; the segment
        "ste": ("st-elevation", "st-interval-abnormality"),  # CPSC2018; CSN, "extension"
        "ami": ("anterior-infarction", "myocardial-infarction"),  # PTB-XL; "acute"
        "veb": ("ventricular-premature-beats", "ventricular-escape-beats"),  # "ectopic"; CSN
        "sa": ("sinus-arrhythmia", "sinus-rhythm"),  # CSN; "sinoatrial"
    }
)


def known_statement(name: str) -> str | None:
    """The bundled statement that is meant: by its name ("atrial-fibrillation", "Atrial fibrillation") or abbreviation ("AFIB").

    None where it is none of them. Raises ConfigError for an abbreviation of several.
    """
    plain = _plain(name)
    if plain in AMBIGUOUS:
        fault = f"{name} means different things to different people"
        raise ConfigError("classes", fault, f"say {' or '.join(AMBIGUOUS[plain])}")
    return plain if plain in statements() else STATEMENT_OF.get(plain)


def statement_named(name: str) -> str:
    """As `known_statement`, where there must be one. Raises ConfigError, with what may have been meant."""
    found = known_statement(name)
    if found is not None:
        return found
    near = get_close_matches(_plain(name), [*statements(), *STATEMENT_OF], n=3)
    remedy = f"perhaps {' or '.join(near)}" if near else "cmelt.evaluation.prompts lists them; or give prompts of your own"
    raise ConfigError("classes", f"{name} is no bundled statement", remedy)


def _plain(name: str) -> str:
    return "-".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
