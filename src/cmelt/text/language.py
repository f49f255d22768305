"""In which language a report is written, by the words that give ECG reports away.

General detectors were made for running text. On PTB-XL's terse statements they take "sinusrhythmus normales ekg" for Swedish and
"sinus rhythm. normal ecg" for German; the words below decide these as a reader would.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Words of ECG reports that one language has and the others of this table have not.
CUES: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "rhythm ecg axis left right block bundle branch wave waves normal atrial ventricular infarct infarction "
        "otherwise and with of the is are no not or abnormal deviation possible probable probably consider lead leads "
        "paced flutter fibrillation hypertrophy ectopic complexes bradycardia tachycardia low voltage high peripheral "
        "incomplete complete old age undetermined nonspecific unspecific suggests suspected cannot be ruled out "
        "changes baseline wander short long premature beats position trace only requested type horizontal vertical "
        "prolonged degree first borderline",
        "de": "sinusrhythmus normales ekg lagetyp linkstyp rechtstyp linkslagetyp steiltyp überdrehter ueberdrehter "
        "indifferenztyp vorhofflimmern vorhofflattern sonst und mit ohne nicht der die das ist bei linksschenkelblock "
        "rechtsschenkelblock schenkelblock linkshypertrophie rechtshypertrophie infarkt herzinfarkt unvollständiger "
        "kompletter inkompletter sinusbradykardie sinustachykardie rhythmus arrhythmie extrasystole extrasystolen "
        "repolarisation veränderungen erregungsrückbildung überleitung verdacht auf wahrscheinlich niederspannung "
        "periphere träge unbestätigter bericht ableitungen llt alter bestimmbar hypertrophie vorhof verlängert "
        "verkürzt aufzeichnung schrittmacher möglich akut grades steil",
        "sv": "sinusrytm normalt förmaksflimmer förmaksfladder eljest och med utan inte är vänster höger skänkelblock "
        "grenblock hypertrofi infarkt hjärtinfarkt st-t förändring förändringar rytm sinusbradykardi sinustachykardi "
        "arytmi sida elaxel misstänkt pacemakerrytm",
        "fr": "rythme sinusal et avec sans droit droite gauche bloc branche infarctus onde ondes fibrillation auriculaire "
        "hypertrophie ventriculaire anormal electrocardiogramme électrocardiogramme tracé déviation axiale normale du "
        "des les une",
        "es": "ritmo sinusal con sin derecho derecha izquierdo izquierda bloqueo rama infarto onda fibrilación auricular "
        "hipertrofia ventricular anormal electrocardiograma desviación del eje y los las una taquicardia bradicardia",
        "it": "ritmo sinusale con senza destro destra sinistro sinistra blocco branca infarto onda fibrillazione atriale "
        "ipertrofia ventricolare anormale elettrocardiogramma deviazione dell asse e della tachicardia bradicardia",
        "nl": "sinusritme met zonder en rechts links bundeltakblok infarct boezemfibrilleren hypertrofie normaal abnormaal "
        "hartas afwijkingen niet van het een",
        "pt": "ritmo sinusal com sem direito direita esquerdo esquerda bloqueio ramo infarto enfarte onda fibrilação atrial "
        "hipertrofia ventricular anormal eletrocardiograma desvio do eixo e da taquicardia bradicardia",
    }.items()
}
_SHARED = {word for word in set().union(*CUES.values()) if sum(word in words for words in CUES.values()) > 1}
_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "el": re.compile("[\u0370-\u03ff]{3}"),
}
_WORD = re.compile(r"[^\W\d_]+")
UNKNOWN = "unknown"


def language_of(report: str) -> str:
    """The ISO 639-1 code of the report's language, or "unknown" where no word or two languages equally give it away.

    Words that several languages share ("infarkt", "ritmo") count half, so that they decide only beside others.

    Example:
        >>> language_of("Sinusrhythmus normales EKG"), language_of("sinus rhythm. normal ecg."), language_of("4.46")
        ('de', 'en', 'unknown')
    """
    # Kana stand among Chinese characters, never the other way round.
    for language in ("ja", "ko", "zh", "ru", "el"):
        if _SCRIPTS[language].search(report):
            return language
    words = _WORD.findall(report.lower())
    scores = {
        language: sum((0.5 if word in _SHARED else 1.0) for word in words if word in cues) for language, cues in CUES.items()
    }
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    (best, most), (_, next_most) = ranked[0], ranked[1]
    return best if most > next_most else UNKNOWN
