"""ECGs to vectors as a step of scikit-learn's pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from cmelt.errors import ConfigError, RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.record import Record
from cmelt.serving.arrays import source_of
from cmelt.serving.engine import embed
from cmelt.serving.loading import load

if TYPE_CHECKING:
    from cmelt.model.reduced_precision import Precision
    from cmelt.model.towers import Towers
    from cmelt.serving.processor import CMeltProcessor


class CMeltEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Unit vectors [n, D] of ECGs, by a trained model whose weights stay as they are: `fit` learns nothing.

    X holds n ECGs: a list, or a column, of paths or Records; an array [n, leads, samples]; a list of arrays [leads, samples] of
    any lengths; or, of one lead, an array [n, samples]. Arrays need `rate`, `unit` and `leads`: nothing is guessed. NaN is what
    was not measured.

    Since nothing is learned, ECGs may be embedded once, before folds are made, without anything of a test leaking into training;
    inside of a pipeline they are embedded anew for every fold.

    Args:
        model: as for `cmelt.load`: a bundled model's name, a folder, or "owner/name" of a hub.
        rate, unit, leads: of arrays and of files that do not say: Hz, "mV", names in the order of the rows.
        device, precision: as for `cmelt.load`.
        unusable: what becomes of an ECG without a usable lead, or a file that is none: "error" names it, "nan" gives it a row of
            NaN, to be imputed or left out by a later step.

    Example:
        >>> from sklearn.linear_model import LogisticRegression  # doctest: +SKIP
        >>> from sklearn.model_selection import cross_val_score  # doctest: +SKIP
        >>> from sklearn.pipeline import make_pipeline  # doctest: +SKIP
        >>> cross_val_score(make_pipeline(cmelt.CMeltEmbedder(), LogisticRegression()), paths, has_af)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "small",
        *,
        rate: float | None = None,
        unit: str | None = None,
        leads: Sequence[str] | None = None,
        device: str | None = None,
        precision: Precision | Literal["auto"] = "float32",
        unusable: Literal["error", "nan"] = "error",
    ) -> None:
        self.model = model
        self.rate = rate
        self.unit = unit
        self.leads = leads
        self.device = device
        self.precision = precision
        self.unusable = unusable

    def fit(self, X: Any, y: ArrayLike | None = None) -> CMeltEmbedder:  # noqa: ARG002 - scikit-learn hands it in
        """Look at the form of X; nothing is learned. Raises ValueError, TypeError or ConfigError for what holds no ECGs."""
        self._ecgs(X, reset=True)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Unit vectors [n, D]. Raises as `fit`, and RecordError naming the ECG that is none."""
        ecgs = self._ecgs(X, reset=False)
        if self.unusable not in ("error", "nan"):
            raise ConfigError("unusable", f"{self.unusable!r} is neither error nor nan")
        model, processor = self._loaded()
        options = ReadOptions(rate=self.rate, unit=self.unit, leads=None if self.leads is None else tuple(self.leads))
        rows: list[int] = []
        vectors = embed(model, processor, self._records(ecgs, processor, options, rows), options=options)
        found = np.full((len(ecgs), vectors.shape[1]), np.nan, np.float32)
        found[rows] = vectors
        return found

    def _records(self, ecgs: Sequence[Any], processor: CMeltProcessor, options: ReadOptions, rows: list[int]) -> Iterator[Record]:
        """The ECGs that can be used, one at a time; the numbers of those that were handed on are put in `rows`."""
        for number, ecg in enumerate(ecgs):
            try:
                source = source_of(ecg, options, f"X[{number}]")
                record = source if isinstance(source, Record) else read_ecg(source, options)
                if self.unusable == "nan":
                    processor.record(record, options)
            except RecordError:
                if self.unusable == "error":
                    raise
                continue
            rows.append(number)
            yield record

    @property
    def _n_features_out(self) -> int:
        """D, for the names of the columns."""
        return self._loaded()[1].settings.width

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _loaded(self) -> tuple[Towers, CMeltProcessor]:
        return _load(os.fspath(self.model), self.device, self.precision)

    def _ecgs(self, X: Any, *, reset: bool) -> Sequence[Any]:
        """n paths, Records or arrays [leads, samples]."""
        column = _column(X)
        if column is not None:
            return column
        array = validate_data(self, X, reset=reset, dtype="numeric", allow_nd=True, ensure_all_finite="allow-nan")
        if array.ndim == 2 and (self.leads is None or len(self.leads) != 1):
            fault = f"is an array {array.shape}: ECGs of one lead [n, samples], or something else"
            raise ConfigError("X", fault, 'give [n, leads, samples], or say leads=["II"] where each row is one lead')
        return list(array[:, None, :] if array.ndim == 2 else array)


def _column(X: Any) -> Sequence[Any] | None:
    """X as a sequence of what is not numbers: paths, Records, arrays of their own; None where it is one array of numbers."""
    if hasattr(X, "iloc"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUS" or X.size == 0:
            return None
        X = X[:, 0] if X.ndim == 2 and X.shape[1] == 1 else X
        return list(X) if X.ndim == 1 and _is_ecg(X[0]) else None
    return X if isinstance(X, list | tuple) and len(X) > 0 and _is_ecg(X[0]) else None


def _is_ecg(value: Any) -> bool:
    return isinstance(value, Record | str | os.PathLike) or (isinstance(value, np.ndarray) and value.ndim == 2)


@lru_cache(maxsize=2)
def _load(model: str, device: str | None, precision: Any) -> tuple[Towers, CMeltProcessor]:
    """One copy for all estimators of a process: estimators are cloned and pickled by their names alone."""
    return load(model, device=device, precision=precision)
