"""What people call statements, in English and German, beside their own names and abbreviations: for lines that somebody types.

Names alone, whole ones: what says less than the statement (a German "Linkstyp" is normal) or more is none of these.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

from cmelt.evaluation.prompts.abbreviations import AMBIGUOUS, STATEMENT_OF
from cmelt.evaluation.prompts.wording import statements

#: Statement → (other English names, German names), with semicolons between them.
_NAMES: dict[str, tuple[str, str]] = {
    "left-ventricular-hypertrophy": ("left heart hypertrophy", "Linkshypertrophie; linksventrikuläre Hypertrophie"),
    "right-ventricular-hypertrophy": ("right heart hypertrophy", "Rechtshypertrophie; rechtsventrikuläre Hypertrophie"),
    "septal-hypertrophy": ("", "Septumhypertrophie; Septum-Hypertrophie"),
    "left-atrial-enlargement": ("left atrial overload; P mitrale", "P-sinistrocardiale; P-sinistroatriale; P-mitrale"),
    "right-atrial-enlargement": ("right atrial overload; P pulmonale", "P-dextrocardiale; P-dextroatriale; P-pulmonale"),
    "p-wave-abnormality": ("abnormal P wave", "abnorme P-Welle; P-Wellen-Veränderung"),
    "first-degree-av-block": ("first degree heart block; AV block I; 1st degree AV block; first degree atrioventricular block",
                              "AV-Block I. Grades; AV-Block 1. Grades; AV-Block ersten Grades; AV-Block I°"),
    "prolonged-pr-interval": ("long PR interval; PR prolongation; prolonged PR", "PQ-Verlängerung; verlängerte PQ-Zeit"),
    "second-degree-av-block": ("second degree heart block; AV block II; 2nd degree AV block",
                               "AV-Block II. Grades; AV-Block 2. Grades; AV-Block zweiten Grades; AV-Block II°"),
    "wenckebach-av-block": ("Wenckebach; Mobitz I; Mobitz type I; Wenckebach block", "Wenckebach-Block; AV-Block Typ Wenckebach"),
    "mobitz-ii-av-block": ("Mobitz II; Mobitz type II; Mobitz II block", "Mobitz-II-Block; AV-Block Mobitz II"),
    "third-degree-av-block": (
        "third degree heart block; AV block III; complete heart block; complete AV block; 3rd degree AV block",
        "AV-Block III. Grades; AV-Block 3. Grades; AV-Block dritten Grades; totaler AV-Block; AV-Block III°"),
    "av-block": ("atrioventricular block", "atrioventrikulärer Block; AV-Überleitungsstörung"),
    "left-bundle-branch-block": ("complete left bundle branch block; left bundle block",
                                 "Linksschenkelblock; kompletter Linksschenkelblock; LSB"),
    "incomplete-left-bundle-branch-block": ("", "inkompletter Linksschenkelblock; unvollständiger Linksschenkelblock"),
    "right-bundle-branch-block": ("complete right bundle branch block; right bundle block",
                                  "Rechtsschenkelblock; kompletter Rechtsschenkelblock; RSB"),
    "incomplete-right-bundle-branch-block": ("", "inkompletter Rechtsschenkelblock; unvollständiger Rechtsschenkelblock"),
    "bundle-branch-block": ("", "Schenkelblock"),
    "left-anterior-fascicular-block": ("left anterior hemiblock", "linksanteriorer Hemiblock; LAH"),
    "left-posterior-fascicular-block": ("left posterior hemiblock", "linksposteriorer Hemiblock; LPH"),
    "intraventricular-conduction-disturbance": (
        "intraventricular conduction delay; non-specific intraventricular conduction delay; intraventricular block",
        "intraventrikuläre Leitungsstörung; intraventrikulärer Block; unspezifischer intraventrikulärer Block"),
    "wolff-parkinson-white": ("Wolff-Parkinson-White syndrome; Wolff-Parkinson-White pattern; WPW syndrome; WPW pattern",
                              "WPW-Syndrom; Wolff-Parkinson-White-Syndrom"),
    "ventricular-pre-excitation": ("preexcitation; pre-excitation", "ventrikuläre Präexzitation; Präexzitation"),
    "ventricular-premature-beats": (
        "ventricular premature contractions; ventricular premature complexes; premature ventricular contractions; "
        "premature ventricular complexes; premature ventricular beats; ventricular extrasystoles; ventricular ectopic beats",
        "ventrikuläre Extrasystolen; VES"),
    "atrial-premature-beats": (
        "atrial premature contractions; atrial premature complexes; premature atrial contractions; premature atrial complexes; "
        "premature atrial beats; atrial extrasystoles; supraventricular extrasystoles",
        "supraventrikuläre Extrasystolen; atriale Extrasystolen; SVES"),
    "premature-beats": ("premature complexes; premature contractions; extrasystoles", "Extrasystolen"),
    "junctional-premature-beats": ("junctional premature complexes; premature junctional complexes", "junktionale Extrasystolen"),
    "bigeminy": ("", "Bigeminus"),
    "trigeminy": ("", "Trigeminus"),
    "ventricular-bigeminy": ("", "ventrikulärer Bigeminus"),
    "atrial-bigeminy": ("", "atrialer Bigeminus; supraventrikulärer Bigeminus"),
    "ventricular-trigeminy": ("", "ventrikulärer Trigeminus"),
    "ventricular-escape-beats": ("ventricular escape complexes", "ventrikuläre Ersatzschläge"),
    "junctional-escape-beats": ("junctional escape complexes", "junktionale Ersatzschläge"),
    "ventricular-fusion-beats": ("fusion beats", "ventrikuläre Fusionsschläge; Fusionsschläge"),
    "myocardial-infarction": ("infarction; heart attack", "Myokardinfarkt; Herzinfarkt; Infarkt"),
    "inferior-infarction": ("inferior myocardial infarction; inferior MI",
                            "inferiorer Infarkt; inferiorer Myokardinfarkt; Hinterwandinfarkt"),
    "anteroseptal-infarction": ("anteroseptal myocardial infarction; anteroseptal MI",
                                "anteroseptaler Infarkt; anteroseptaler Myokardinfarkt"),
    "anterior-infarction": ("anterior myocardial infarction; anterior MI",
                            "anteriorer Infarkt; anteriorer Myokardinfarkt; Vorderwandinfarkt"),
    "anterolateral-infarction": ("anterolateral myocardial infarction; anterolateral MI",
                                 "anterolateraler Infarkt; anterolateraler Myokardinfarkt"),
    "inferolateral-infarction": ("inferolateral myocardial infarction; inferolateral MI",
                                 "inferolateraler Infarkt; inferolateraler Myokardinfarkt"),
    "lateral-infarction": ("lateral myocardial infarction; lateral MI",
                           "lateraler Infarkt; lateraler Myokardinfarkt; Seitenwandinfarkt"),
    "posterior-infarction": ("posterior myocardial infarction; posterior MI", "posteriorer Infarkt; posteriorer Myokardinfarkt"),
    "inferoposterior-infarction": ("inferoposterior myocardial infarction; inferoposterior MI", "inferoposteriorer Infarkt"),
    "inferoposterolateral-infarction": ("inferoposterolateral myocardial infarction", "inferoposterolateraler Infarkt"),
    "anteroseptal-injury": ("anteroseptal subendocardial injury", "anteroseptaler Innenschichtschaden"),
    "anterolateral-injury": ("anterolateral subendocardial injury", "anterolateraler Innenschichtschaden"),
    "inferior-injury": ("inferior subendocardial injury", "inferiorer Innenschichtschaden"),
    "lateral-injury": ("lateral subendocardial injury", "lateraler Innenschichtschaden"),
    "inferolateral-injury": ("inferolateral subendocardial injury", "inferolateraler Innenschichtschaden"),
    "ischaemia": ("myocardial ischaemia", "Ischämie; Myokardischämie"),
    "anterolateral-ischaemia": ("", "anterolaterale Ischämie"),
    "inferior-ischaemia": ("", "inferiore Ischämie"),
    "inferolateral-ischaemia": ("", "inferolaterale Ischämie"),
    "anteroseptal-ischaemia": ("", "anteroseptale Ischämie"),
    "lateral-ischaemia": ("", "laterale Ischämie"),
    "anterior-ischaemia": ("", "anteriore Ischämie"),
    "ventricular-aneurysm": ("left ventricular aneurysm", "Ventrikelaneurysma; Herzwandaneurysma"),
    "left-axis-deviation": ("", "überdrehter Linkstyp"),
    "right-axis-deviation": ("", "Rechtstyp; überdrehter Rechtstyp"),
    "counterclockwise-rotation": ("counter-clockwise rotation", "Drehung gegen den Uhrzeigersinn"),
    "clockwise-rotation": ("", "Drehung im Uhrzeigersinn"),
    "low-qrs-voltage": ("low voltage; low QRS voltages", "Niedervoltage; Niederspannung; niedrige QRS-Amplituden"),
    "low-limb-lead-voltage": ("low voltage in the limb leads only", "periphere Niederspannung; periphere Niedervoltage"),
    "low-chest-lead-voltage": ("low voltage in the precordial leads", "Niederspannung in den Brustwandableitungen"),
    "high-qrs-voltage": ("high voltage; high QRS voltages", "hohe QRS-Amplituden; Hochvoltage"),
    "voltage-criteria-for-lvh": ("voltage criteria for left ventricular hypertrophy; LVH voltage criteria",
                                 "Amplitudenkriterien einer Linkshypertrophie; Sokolow-Lyon-Kriterien erfüllt"),
    "abnormal-qrs": ("abnormal QRS complex", "abnormer QRS-Komplex; QRS abnorm"),
    "q-waves": ("pathological Q waves; abnormal Q waves", "pathologische Q-Zacken; Q-Zacken"),
    "poor-r-wave-progression": ("poor R progression", "mangelnde R-Progression; verzögerte R-Progression"),
    "fragmented-qrs": ("fragmented QRS complexes", "fragmentierter QRS-Komplex; fragmentierte QRS-Komplexe"),
    "normal-ecg": ("normal tracing", "normales EKG; unauffälliges EKG; Normalbefund"),
    "non-diagnostic-t-abnormality": ("non-diagnostic T wave abnormality; non-diagnostic T abnormalities",
                                     "unspezifisch abnormes T; nicht diagnostische T-Abnormität"),
    "non-specific-st-change": ("non-specific ST changes; non-specific ST segment changes", "unspezifische ST-Veränderungen"),
    "st-t-change": ("ST-T changes; ST-T abnormality; ST-T abnormalities", "ST-T-Veränderungen; ST-T abnorm"),
    "st-interval-abnormality": ("abnormal ST segment; ST segment abnormality", "abnorme ST-Strecke; ST-Strecken-Veränderung"),
    "st-depression": ("ST segment depression; depressed ST segments", "ST-Senkung; ST-Strecken-Senkung"),
    "st-elevation": ("ST segment elevation; elevated ST segments", "ST-Hebung; ST-Strecken-Hebung"),
    "early-repolarisation": ("early repolarisation pattern", "frühe Repolarisation; frühzeitige Repolarisation"),
    "low-t-waves": ("low T wave; flat T waves", "flache T-Wellen; abgeflachte T-Wellen"),
    "non-specific-t-change": ("non-specific T wave changes; non-specific T changes", "unspezifische T-Veränderungen"),
    "t-wave-inversion": ("inverted T waves; negative T waves", "T-Negativierung; T-Inversion; negative T-Wellen"),
    "t-wave-abnormality": ("abnormal T waves; T wave changes", "abnorme T-Wellen; T-Wellen-Veränderungen"),
    "u-waves": ("prominent U waves", "U-Wellen"),
    "long-qt": ("long QT interval; prolonged QT; prolonged QT interval; QT prolongation",
                "QT-Verlängerung; verlängerte QT-Zeit; langes QT"),
    "digitalis-effect": ("digoxin effect", "Digitaliswirkung; Digitaliseffekt"),
    "electrolyte-or-drug-effect": ("electrolyte disturbance or drug effect", "Elektrolytstörung oder Medikamenteneffekt"),
    "sinus-rhythm": ("normal sinus rhythm; regular sinus rhythm", "Sinusrhythmus; normaler Sinusrhythmus"),
    "atrial-fibrillation": ("A fib; auricular fibrillation", "Vorhofflimmern; VHF; absolute Arrhythmie"),
    "atrial-flutter": ("A flutter", "Vorhofflattern"),
    "sinus-tachycardia": ("", "Sinustachykardie"),
    "sinus-bradycardia": ("", "Sinusbradykardie"),
    "bradycardia": ("", "Bradykardie"),
    "sinus-arrhythmia": ("", "Sinusarrhythmie; Sinus-Arrhythmie"),
    "paced-rhythm": ("pacemaker rhythm; pacing; artificial pacemaker", "Schrittmacherrhythmus; Schrittmacher-EKG"),
    "supraventricular-arrhythmia": ("", "supraventrikuläre Arrhythmie"),
    "supraventricular-tachycardia": ("", "supraventrikuläre Tachykardie"),
    "paroxysmal-supraventricular-tachycardia": ("", "paroxysmale supraventrikuläre Tachykardie"),
    "atrial-tachycardia": ("", "atriale Tachykardie; Vorhoftachykardie"),
    "av-nodal-reentrant-tachycardia": ("AV nodal re-entry tachycardia; AV node re-entrant tachycardia",
                                       "AV-Knoten-Reentrytachykardie; AV-Knoten-Reentry-Tachykardie"),
    "av-reentrant-tachycardia": ("atrioventricular re-entrant tachycardia; AV re-entry tachycardia",
                                 "AV-Reentrytachykardie; AV-Reentry-Tachykardie"),
    "wandering-pacemaker": ("wandering atrial pacemaker", "wandernder Schrittmacher"),
}  # fmt: skip

#: British and American, hyphenated and not, of one word each.
_SPELLINGS = tuple(
    (re.compile(written), one)
    for written, one in (
        (r"\binfar[ck]t(?!i)", "infarction"),
        (r"isation\b", "ization"),
        (r"aemi", "emi"),
        (r"\bekg\b", "ecg"),
        (r"\b(non|pre|re|counter) (?=\w)", r"\1"),
        (r"\b1st\b", "first"),
        (r"\b2nd\b", "second"),
        (r"\b3rd\b", "third"),
    )
)
_GERMAN_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "°": " grad "})
#: Endings of numbers and cases; what is left of a word tells names apart.
_ENDING = re.compile(r"(?<=\w{3})(ens|en|er|em|es|e|n|s)\b")


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Words of `text` without case, punctuation, umlauts and ways of spelling: what names are compared by."""
    letters = unicodedata.normalize("NFC", text).casefold().translate(_GERMAN_LETTERS)
    words = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", letters).replace("_", " ")))
    for written, one in _SPELLINGS:
        words = written.sub(one, words)
    return words


def statements_called(name: str) -> tuple[str, ...]:
    """The statements that `name` may mean: one, none, or several for an abbreviation that differs between hospitals."""
    words = plain(name)
    if words in AMBIGUOUS:
        return AMBIGUOUS[words]
    known = _by_name()
    return (known[words],) if words in known else _by_stem().get(_stem(words), ())


def names_of(statement: str) -> tuple[str, ...]:
    """Every name and abbreviation of a statement, its own name first."""
    english, german = _NAMES[statement]
    others = [name.strip() for name in f"{english};{german}".split(";") if name.strip()]
    short = [one for one, name in STATEMENT_OF.items() if name == statement]
    return (statement.replace("-", " "), *others, *short)


@cache
def _by_name() -> Mapping[str, str]:
    """Name, as `plain` has it → statement. Raises ValueError for one that two statements have."""
    return MappingProxyType(_each_once((plain(name), statement) for statement in statements() for name in names_of(statement)))


def _each_once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, statement in pairs:
        if found.setdefault(name, statement) != statement:
            raise ValueError(f"{name} is a name of {found[name]} and of {statement}")
    return found


@cache
def _by_stem() -> Mapping[str, tuple[str]]:
    """The same by what endings leave, where that is one statement's: "Linksschenkelblocks", "inferioren Infarkt", "U wave"."""
    found: dict[str, set[str]] = {}
    for name, statement in _by_name().items():
        if name in STATEMENT_OF:  # of letters each counts
            continue
        found.setdefault(_stem(name), set()).add(statement)
    return MappingProxyType({stem: (next(iter(several)),) for stem, several in found.items() if len(several) == 1})


def _stem(words: str) -> str:
    return _ENDING.sub("", _ENDING.sub("", words))
