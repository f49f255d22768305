"""The label vocabularies of the six benchmarks that MERL (Liu et al., ICML 2024) made customary, and of the data behind them.

**Chapman–Shaoxing–Ningbo (CSN).** MERL's 38 columns were filled by asking whether an acronym occurs in the *text* of a record's
acronyms, so that "AF" (flutter) is found inside "AFIB" (fibrillation). Recomputed from the lists' own `diagnose` column (23,026
records), 31 columns are right and these seven hold others' records: VB 913 of 916 (in the test list all 169), AVB 737 of 913, CR
141 of 216, 2AVB 16 of 38, AF 1,413 of 4,753, SA 721 of 2,828, ST 1,184 of 6,338. Besides, SB (sinus bradycardia, CSN's commonest
condition), LVQRSAL, IDC and VPE have no column though 12 to 3,903 listed records carry them; no record whose only condition is SB
is listed; and the `age` column holds 12 throughout, the number of leads. "merl-csn:NAME" is such a column as it stands,
"csn:NAME" the condition itself.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CSN_TABLE = Path(__file__).parent / "codes" / "csn_conditions.csv"


@dataclass(frozen=True)
class CpscClass:
    """One of CPSC2018's nine: its number in REFERENCE.csv, MERL's name, the Challenge's SNOMED code, and words."""

    number: int
    name: str
    code: str
    words: str


CPSC2018: tuple[CpscClass, ...] = (
    CpscClass(1, "NORM", "426783006", "normal electrocardiogram"),
    CpscClass(2, "AFIB", "164889003", "atrial fibrillation"),
    CpscClass(3, "1AVB", "270492004", "1st degree av block"),
    CpscClass(4, "CLBBB", "164909002", "left bundle branch block"),
    CpscClass(5, "CRBBB", "59118001", "right bundle branch block"),
    CpscClass(6, "PAC", "284470004", "premature atrial contraction"),
    CpscClass(7, "VPC", "164884008", "premature ventricular contraction"),
    CpscClass(8, "STD", "429622005", "st depression"),
    CpscClass(9, "STE", "164931005", "st elevation"),
)

#: MERL's columns, in its order.
MERL_CSN: tuple[str, ...] = (
    "AQW", "UW", "SR", "WPW", "2AVB", "AT", "VB", "ARS", "STTC", "SA", "STE", "VPB", "TWO", "STTU", "ALS", "APB", "2AVB1",
    "PRIE", "CCR", "CR", "AF", "AVB", "QTIE", "LBBB", "VEB", "SVT", "RBBB", "1AVB", "STDD", "MI", "AFIB", "TWC", "PWC", "ERV",
    "RVH", "LVH", "ST", "JEB",
)  # fmt: skip

#: Its columns that hold other conditions' records too, and whose: the acronyms that contain their name.
MERL_CSN_WRONG: Mapping[str, tuple[str, ...]] = {
    "2AVB": ("2AVB1",),
    "AF": ("AFIB",),
    "AVB": ("1AVB", "2AVB", "2AVB1", "3AVB"),
    "CR": ("CCR",),
    "SA": ("LVQRSAL",),
    "ST": ("STDD", "STE", "STTC", "STTU"),
    "VB": ("1AVB", "2AVB", "2AVB1", "3AVB", "AVB"),
}

_PTB_XL_SUPER = ("NORM", "MI", "STTC", "CD", "HYP")
_PTB_XL_SUB = (
    "NORM", "AMI", "IMI", "LMI", "PMI", "STTC", "NST_", "ISC_", "ISCA", "ISCI", "LAFB/LPFB", "IRBBB", "ILBBB", "CLBBB", "CRBBB",
    "_AVB", "IVCD", "WPW", "LVH", "RVH", "LAO/LAE", "RAO/RAE", "SEHYP",
)  # fmt: skip
_PTB_XL_FORM = (
    "NDT", "NST_", "DIG", "LNGQT", "ABQRS", "PVC", "STD_", "VCLVH", "QWAVE", "LOWT", "NT_", "PAC", "LPR", "INVT", "LVOLT",
    "HVOLT", "TAB_", "STE_", "PRC(S)",
)  # fmt: skip
_PTB_XL_RHYTHM = ("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "SVTAC", "PSVT", "TRIGU")

#: The six benchmarks: the labels of each, as the sources write them.
BENCHMARKS: Mapping[str, tuple[str, ...]] = {
    "ptbxl-super": tuple(f"super:{name}" for name in _PTB_XL_SUPER),
    "ptbxl-sub": tuple(f"sub:{name}" for name in _PTB_XL_SUB),
    "ptbxl-form": tuple(f"form:{name}" for name in _PTB_XL_FORM),
    "ptbxl-rhythm": tuple(f"rhythm:{name}" for name in _PTB_XL_RHYTHM),
    "cpsc2018": tuple(f"cpsc:{one.name}" for one in CPSC2018),
    "csn": tuple(f"csn:{name}" for name in MERL_CSN),
}


@cache
def csn_conditions() -> Mapping[str, tuple[str, str]]:
    """SNOMED code → (acronym, name) of CSN's ConditionNames_SNOMED-CT.csv (Zheng et al., CC BY 4.0), spelling corrected.

    Its 63 acronyms share 55 codes: a header's 164865005 may be an infarction of any wall. As in MERL's lists the first
    acronym of a code stands for all of them: LBBB and MI are the general ones; of 698252002 (IDC, IVB) and 195101003 (WAVN,
    SAAWR) nobody can tell which was meant.
    """
    found: dict[str, tuple[str, str]] = {}
    with _CSN_TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["code"], (row["acronym"], row["name"]))
    return found


@cache
def csn_names() -> Mapping[str, str]:
    """SNOMED code → name in CSN's table."""
    return {code: name for code, (_, name) in csn_conditions().items()}


def csn_labels(codes: Iterable[str]) -> tuple[str, ...]:
    """ "csn:ACRONYM" for each code that CSN's table has; sorted."""
    return tuple(sorted({f"csn:{csn_conditions()[code][0]}" for code in codes if code in csn_conditions()}))


def cpsc_labels(codes: Iterable[str]) -> tuple[str, ...]:
    """ "cpsc:NAME" for each of the nine classes among the codes; sorted."""
    carried = set(codes)
    return tuple(sorted(f"cpsc:{one.name}" for one in CPSC2018 if one.code in carried))
