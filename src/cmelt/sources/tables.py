"""Reading the tables that lie beside recordings: all cells as text, so that no identifier loses its zeros."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cmelt.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd


def read_csv(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """The table at `path`, every cell a string ('' where empty).

    Raises:
        SourceError: it is not there, is no CSV in UTF-8, or lacks one of the `needed` columns.
    """
    import pandas as pd

    if not path.exists():
        raise SourceError(path, "the table is not there", "give the folder that holds it")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise SourceError(path, f"cannot be read as a table ({type(error).__name__})", "save it as CSV in UTF-8") from None
    require_columns(table, needed, path)
    return table


def read_parquet(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """As `read_csv`, for parquet: numbers become their text, lists are joined by ';', nulls ''.

    Raises:
        SourceError: it is not there, is no parquet file, or lacks one of the `needed` columns.
    """
    import pandas as pd

    if not path.exists():
        raise SourceError(path, "the table is not there", "give its path")
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise SourceError(path, f"cannot be read as parquet ({type(error).__name__})", "write it again") from None
    require_columns(table, needed, path)
    return table.apply(lambda column: column.map(_cell_text))


def _cell_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if hasattr(value, "__iter__"):
        return ";".join(map(str, value))
    import pandas as pd

    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    # A column of whole numbers with a gap becomes floats in pandas: 12.0 was 12.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def require_columns(table: pd.DataFrame, needed: Sequence[str], path: Path) -> None:
    """Refuse a table without one of the `needed` columns."""
    lacking = [column for column in needed if column not in table.columns]
    if lacking:
        # The columns are not told: of a table without headings they are its first row, a patient's.
        fault = f"no column {', '.join(lacking)} among its {len(table.columns)}"
        raise SourceError(path, fault, "name the columns in the first line, as documented")


def file_stamp(*paths: Path | str) -> str:
    """Sizes and modification times of `paths` ('-' where one is not there)."""
    stamps = []
    for path in paths:
        try:
            status = os.stat(path)
            stamps.append(f"{status.st_size}:{status.st_mtime_ns}")
        except OSError:
            stamps.append("-")
    return " ".join(stamps)
