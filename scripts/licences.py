"""docs/licences.md: under what licence each package is that an installation of cmelt brings, as its own metadata says.

make licences                      # or: python scripts/licences.py; where every extra is installed
python scripts/licences.py --check # says whether the page would change, and writes nothing

Every licence has to be one that was looked at (LOOKED_AT): one that is new stops the script by name, and so does any of the GPL
family, whose terms would reach this package.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
START, END = "<!-- made by scripts/licences.py -->", "<!-- end of what was made -->"
EXTRAS = ("dask", "docs", "explain", "onnx", "serve", "tensorboard")
#: Whole declared licences, as packages word them → SPDX. BSD and Apache without a number: their licence files were read.
LOOKED_AT = {
    "0BSD OR CC0-1.0": "0BSD OR CC0-1.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License v2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "ISC license": "ISC",
    "MIT License": "MIT",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
#: Packages whose licence files were read since their metadata alone would mislead: name → what holds of the wheel's files.
#: docutils names the GPL for its Emacs mode, which its wheel does not hold (tests/packaging looks).
READ = {"docutils": "public domain, BSD-2-Clause, PSF-2.0"}
#: SPDX identifiers that this package may be shipped beside. MPL-2.0 reaches the files that are under it, no others.
ALLOWED = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU"}
ALLOWED |= {"MPL-2.0", "PSF-2.0", "Zlib", "LLVM-exception", "HPND", "Unlicense", "Python-2.0", "BSL-1.0"}
GPL = re.compile(r"\b[AL]?GPL|GNU (?:Affero |Lesser |Library )?General Public", re.IGNORECASE)


class LicenceError(RuntimeError):
    """A licence that no one has looked at, or one of the GPL family; names package and licence."""


@dataclass(frozen=True)
class Licensed:
    """A package of an installation: its name, version, SPDX expression, and which subjects bring it ("" is the package alone)."""

    name: str
    version: str
    licence: str
    brought_by: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page's table, or with --check return 1 where it would change. Raises LicenceError, PackageNotFoundError."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page would change, write nothing")
    check = parser.parse_args(arguments).check
    before = PAGE.read_text(encoding="utf-8")
    after = with_table(before, table(installed_licences()))
    if before != after:
        sys.stdout.write(f"{PAGE.relative_to(ROOT)} {'would change' if check else 'written'}\n")
        if not check:
            PAGE.write_text(after, encoding="utf-8")
    return int(check and before != after)


def installed_licences() -> list[Licensed]:
    """What an installation brings on this platform, by name. Raises LicenceError, PackageNotFoundError (an extra is missing)."""
    alone = brought_with("cmelt")
    subjects = {"": alone} | {extra: brought_with("cmelt", extra) - alone for extra in EXTRAS}
    every = sorted(set().union(*subjects.values()) - {"cmelt"})
    packages = {name: distribution(name) for name in every}
    return [
        Licensed(name, found.version, licence_of(found), tuple(subject for subject, names in subjects.items() if name in names))
        for name, found in packages.items()
    ]


def brought_with(name: str, *extras: str) -> set[str]:
    """Canonical names of a package and of all that it needs here, with these extras of it. Raises PackageNotFoundError."""
    seen: set[tuple[str, str]] = set()
    waiting = [(str(canonicalize_name(name)), extra) for extra in ("", *extras)]
    while waiting:
        asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        for requirement in map(Requirement, distribution(asked[0]).requires or ()):
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": asked[1]}):
                waiting += [(str(canonicalize_name(requirement.name)), extra) for extra in ("", *sorted(requirement.extras))]
    return {name for name, _ in seen}


def licence_of(package: Distribution) -> str:
    """The SPDX expression that a package's metadata states. Raises LicenceError where it is not one that was looked at."""
    stated = package.metadata
    if stated["Name"] in READ:
        return READ[stated["Name"]]
    classifiers = [line.split(" :: ")[-1] for line in stated.get_all("Classifier") or () if line.startswith("License :: ")]
    short, expression = (str((stated.get_all(key) or [""])[0]) for key in ("License", "License-Expression"))
    told = 0 < len(short) <= 60 and short != "UNKNOWN" and "\n" not in short
    declared = expression or (short if told else "")
    return looked_at(stated["Name"], [declared] if declared else classifiers, classifiers)


def looked_at(name: str, declared: Iterable[str], classifiers: Iterable[str] = ()) -> str:
    """One SPDX expression of a package's declared licences. Raises LicenceError."""
    words = [*declared, *classifiers]
    if gpl := [word for word in words if GPL.search(word)]:
        raise LicenceError(f"{name}: {gpl[0]}: a licence of the GPL family")
    expression = " AND ".join(dict.fromkeys(LOOKED_AT.get(word, word) for word in declared))
    unknown = set(re.findall(r"[A-Za-z0-9.+-]+", expression)) - ALLOWED - {"AND", "OR", "WITH"}
    if unknown or not expression:
        raise LicenceError(f"{name}: licence {expression or 'not stated'!r} was not looked at (LOOKED_AT in scripts/licences.py)")
    return expression


def table(packages: Iterable[Licensed]) -> str:
    """The Markdown table of packages; a version without its build (torch 2.13.0+cpu is 2.13.0)."""
    lines = ["| package | version | licence | comes with |", "|---|---|---|---|"]
    for one in packages:
        with_what = "the package" if "" in one.brought_by else ", ".join(f"`{extra}`" for extra in one.brought_by)
        lines.append(f"| {one.name} | {Version(one.version).public} | {one.licence} | {with_what} |")
    return "\n".join(lines)


def with_table(page: str, made: str) -> str:
    """The page with its table in place of the one before."""
    before, rest = page.split(START)
    return f"{before}{START}\n{made}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LicenceError, PackageNotFoundError) as error:
        sys.exit(f"licences.py: {error}")
