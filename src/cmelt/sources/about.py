"""What is known about a dataset before one has it: what it holds, where it is to be had, under which licence, how to cite it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmelt.errors import SourceError


@dataclass(frozen=True)
class About:
    """A source's facts, for `cmelt sources`, for messages and for the manifest.

    Attributes:
        title: its name with version.
        records, patients: how many it holds; None where that depends on the user or is not published.
        signals: rate and length, in words.
        gigabytes: size of the download, None where it is computed here or the user's own.
        licence: as its publisher names it.
        access: "open", "credentialed" (an account and an agreement), "yours" or "computed".
        where: the page to get it from.
        citation: authors, title, year.
        files: what the folder must hold, as (path or pattern below it, what it is).
        download: where `cmelt download` gets it, as "physionet:PROJECT/VERSION" or "zenodo:RECORD"; '' where it cannot.
    """

    title: str
    records: int | None = None
    patients: int | None = None
    signals: str = ""
    gigabytes: float | None = None
    licence: str = ""
    access: Literal["open", "credentialed", "yours", "computed"] = "open"
    where: str = ""
    citation: str = ""
    files: tuple[tuple[str, str], ...] = ()
    download: str = ""


def about_of(name: str) -> About:
    """The facts of a known source.

    Raises:
        SourceError: there is no such source.
    """
    from cmelt.sources import source_class

    return source_class(name).about


def require_files(about: About, folder: Path, needed: Sequence[str] | None = None) -> None:
    """Refuse a `folder` without the files of `about` (or those of `needed` among them): which, and where to get them.

    Raises:
        SourceError: the folder or a file is not there; every missing one is named.
    """
    if not folder.is_dir():
        raise SourceError(folder, "no such folder", f"give the folder that holds {about.title}; {how_to_get(about)}")
    wanted = [(name, what) for name, what in about.files if needed is None or name in needed]
    lacking = [f"{name} ({what})" for name, what in wanted if next(folder.glob(name), None) is None]
    if lacking:
        raise SourceError(folder, f"{about.title}: missing {'; '.join(lacking)}", how_to_get(about))


def how_to_get(about: About) -> str:
    """Where the dataset is to be had and under which licence, in one clause."""
    size = f", {about.gigabytes:g} GB" if about.gigabytes else ""
    need = ", with an account and a signed agreement" if about.access == "credentialed" else ""
    return f"get it at {about.where} ({about.licence}{size}{need})" if about.where else "check the folder"
