"""How like real ECGs simulated ones are: the figures of docs/simulation.md.

    python scripts/compare_simulated.py STORE [--records 2500]

STORE is PTB-XL prepared at 100 Hz; its train split (folds 1 to 8) alone is read. Printed are medians of a few features of the
real records and of each domain's; how well a classifier tells simulated from real records by simple features (five folds by
patient); and how well classifiers of PTB-XL's statements trained on simulated records do on the real ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cmelt.records.beats import beats_of
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate
from cmelt.store.opened import open_store

RATE = 100.0
GROUPS = {"limb": slice(0, 6), "V1-V3": slice(6, 9), "V4-V6": slice(9, 12)}
BANDS_HZ = ((0.05, 0.5), (0.5, 0.9), (0.9, 5), (5, 15), (15, 25), (25, 35), (35, 45), (45, 50.1))

#: PTB-XL's statements and the parts of names of simulated conditions that stand for them.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "AFIB": ("atrial-fibrillation",),
    "STACH": ("sinus-tachycardia",),
    "SBRAD": ("sinus-bradycardia",),
    "CLBBB": ("sim:left-bundle-branch-block",),
    "CRBBB": ("sim:right-bundle-branch-block",),
    "IRBBB": ("sim:incomplete-right-bundle-branch-block",),
    "LVH": ("left-ventricular-hypertrophy",),
    "LAFB": ("left-anterior-fascicular-block",),
    "IMI|ILMI": ("old-inferior-infarction", "old-inferolateral-infarction"),
    "ASMI|AMI|ALMI": ("old-anterior-infarction", "old-anteroseptal-infarction", "old-anterolateral-infarction"),
    "NDT|LOWT|NT_": ("nonspecific-t-changes", "low-t-waves", "t-wave-inversion"),
    "ISC|STD_|INJ": ("ischaemi", "injury", "st-depression"),
    "LVOLT": ("low-voltage",),
    "PVC": ("ventricular-premature",),
    "NORM": ("sim:normal",),
}

#: Medians to print: a feature, the real and the simulated records of which (a part of their labels; "" for all).
MEDIANS: dict[str, tuple[str, str, str]] = {
    "power from 25 to 35 Hz, limb leads, log10 mV²": ("25-35 Hz limb", "", ""),
    "ST in V2, mV": ("ST V2", "", ""),
    "T in V2, mV": ("T V2", "", ""),
    "P in lead I, peak to peak, mV": ("P I", "", ""),
    "S in V2, left bundle branch block, mV": ("S V2", "scp:CLBBB", "sim:left-bundle-branch-block"),
    "T in aVF, old inferior infarction, mV": ("T aVF", "scp:IMI", "sim:old-inferior-infarction"),
}
#: The signal [12, 1000] at 100 Hz, the patient, and the labels in one line.
Sample = tuple[NDArray[np.float32], str, str]


class Classifier(Protocol):
    """What is used of scikit-learn's classifiers."""

    def fit(self, x: NDArray[np.float64], y: Any) -> Classifier: ...
    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...


def features_of(signal: NDArray[np.float32]) -> dict[str, float] | None:
    """95 features of a record [12, 1000] at 100 Hz; None where fewer than three beats are found."""
    beats = beats_of(Record(signal=signal.astype(np.float32), rate=RATE, leads=LEADS))
    if beats.cut.shape[1] < 3:
        return None
    time, intervals = beats.time, np.diff(beats.peaks) / beats.rate
    middle = beats.middle - beats.middle[:, (time > -0.10) & (time < -0.06)].mean(axis=1, keepdims=True)
    qrs = middle[:, (time >= -0.06) & (time <= 0.08)]
    t = middle[:, (time > 0.14) & (time < 0.42)]
    found = {"rate": 60 / float(np.median(intervals)), "irregularity": float(intervals.std() / intervals.mean())}
    for row, lead in enumerate(LEADS):
        found[f"R {lead}"], found[f"S {lead}"] = float(qrs[row].max()), -float(qrs[row].min())
        found[f"T {lead}"] = float(t[row, np.abs(t[row]).argmax()])
        found[f"ST {lead}"] = float(middle[row, (time >= 0.09) & (time < 0.11)].mean())
        found[f"P {lead}"] = float(np.ptp(middle[row, (time >= -0.25) & (time < -0.07)]))
    net = qrs.sum(axis=1)
    found["axis"] = float(np.rad2deg(np.arctan2(2 * net[5] / np.sqrt(3), net[0])))
    speed = np.sqrt((np.gradient(middle, axis=1) ** 2).sum(axis=0))[(time > -0.12) & (time < 0.16)]
    found["QRS duration"] = 10.0 * float((speed > 0.15 * speed.max()).sum())
    late = (time > 0.15) & (time < 0.48)
    found["T peak"] = float(time[late][np.sqrt((middle**2).mean(axis=0))[late].argmax()])
    return found | _spectra(signal) | _roughness(signal, beats.cut - beats.middle[:, None])


def _spectra(signal: NDArray[np.float32]) -> dict[str, float]:
    """Logarithms of the power in bands, for three groups of leads."""
    power = np.abs(np.fft.rfft(signal - signal.mean(axis=1, keepdims=True), axis=1)) ** 2 / (signal.shape[1] ** 2 / 2)
    frequency = np.fft.rfftfreq(signal.shape[1], 1 / RATE)
    found: dict[str, float] = {}
    for low, high in BANDS_HZ:
        inside = np.log10(power[:, (frequency >= low) & (frequency < high)].sum(axis=1) + 1e-9)
        found |= {f"{low:g}-{high:g} Hz {name}": float(inside[leads].mean()) for name, leads in GROUPS.items()}
    return found


def _roughness(signal: NDArray[np.float32], rest: NDArray[np.float32]) -> dict[str, float]:
    """Logarithms of the median second difference, and of how beats [12, beats, samples] differ from their middle one."""
    rough = np.median(np.abs(np.diff(signal, n=2, axis=1)), axis=1)
    rest = rest - np.median(rest, axis=2, keepdims=True)
    found = {f"roughness {name}": float(np.log10(rough[leads].mean() + 1e-6)) for name, leads in GROUPS.items()}
    return found | {f"rest {name}": float(np.log10(rest[leads].std() + 1e-6)) for name, leads in GROUPS.items()}


def table_of(records: Iterable[Sample]) -> pd.DataFrame:
    """A row a record: features, and the columns patient and labels. Records with fewer than three beats have none."""
    rows = [(features_of(signal), patient, labels) for signal, patient, labels in records]
    kept = [found | {"patient": patient, "labels": labels} for found, patient, labels in rows if found is not None]
    return pd.DataFrame(kept)


def real_records(path: str) -> Iterable[Sample]:
    """The train split of the store. Raises StoreError where it is no store."""
    store = open_store(path)
    rows = store.rows("train")
    index = store.index.iloc[rows]
    return zip(store.millivolts(rows), index["patient"], index["labels"].map(" ".join), strict=True)


def simulated_records(domain: str, count: int) -> Iterable[Sample]:
    """Records of seeds from 90,000 on, each of its own person."""
    for seed in range(90_000, 90_000 + count):
        record = simulate(seed, rate=RATE, domain=domain)
        yield record.signal, str(record.patient), " ".join(record.labels)


def linear() -> Classifier:
    """A logistic regression of standardised features."""
    model: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.05))
    return model


def boosted() -> Classifier:
    """A few boosted trees."""
    model: Classifier = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=0)
    return model


def medians(records: pd.DataFrame, simulated: bool) -> dict[str, float]:
    """The medians of `MEDIANS`; NaN where no record carries the label."""
    found = {}
    for name, (feature, real_label, simulated_label) in MEDIANS.items():
        label = simulated_label if simulated else real_label
        carried = records["labels"].map(lambda labels, label=label: not label or label in labels.split())
        found[name] = float(records.loc[carried, feature].median())
    return found


def told_apart(real: pd.DataFrame, simulated: pd.DataFrame) -> dict[str, float]:
    """AUROC of "simulated?" by a linear and a boosted classifier, patients held out, and of the best single feature."""
    names = [name for name in real if name not in ("patient", "labels")]
    x = pd.concat([real[names], simulated[names]]).fillna(0).to_numpy(float)
    y = np.r_[np.zeros(len(real)), np.ones(len(simulated))]
    low, high = np.quantile(x[y == 0], [0.005, 0.995], axis=0)
    x = np.clip(x, low - (high - low), high + (high - low))  # no outlier alone gives a record away
    groups = pd.factorize(pd.concat([real["patient"], simulated["patient"]]))[0]
    found: dict[str, float] = {}
    for name, model in (("linear", linear()), ("boosted", boosted())):
        scores = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
        found[name] = roc_auc_score(y, scores)
    single = [roc_auc_score(y, column) for column in x.T]
    return found | {"best single feature": max(max(a, 1 - a) for a in single)}


def transferred(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """AUROC on real records of classifiers of the statements that were trained on simulated ones."""
    names = [name for name in real if name not in ("patient", "labels")]
    train, test = (table[names].fillna(0).to_numpy(float) for table in (simulated, real))
    rows = {}
    for statement, conditions in STATEMENTS.items():
        is_real = real["labels"].str.contains("|".join(f"scp:{code}" for code in statement.split("|")))
        is_simulated = simulated["labels"].str.contains("|".join(conditions))
        rows[statement] = {
            name: roc_auc_score(is_real, model.fit(train, is_simulated).predict_proba(test)[:, 1])
            for name, model in (("linear", linear()), ("boosted", boosted()))
        }
    return pd.DataFrame(rows).T


def main() -> None:
    """Print the comparisons for the textbook and the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("--records", type=int, default=2500)
    chosen = parser.parse_args()
    real = table_of(real_records(chosen.store))
    beside = {"real": medians(real, simulated=False)}
    for domain in ("textbook", "archive"):
        simulated = table_of(simulated_records(domain, chosen.records))
        apart = {name: round(value, 3) for name, value in told_apart(real, simulated).items()}
        moved = transferred(real, simulated)
        beside[domain] = medians(simulated, simulated=True)
        sys.stdout.write(f"{domain}: {apart}\n{moved.round(3).to_string()}\n{moved.mean().round(3).to_dict()}\n")
    sys.stdout.write(f"medians\n{pd.DataFrame(beside).round(2).to_string()}\n")


if __name__ == "__main__":
    main()
