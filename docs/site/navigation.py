"""The table of contents. It stands here and not in `docs/index.md`, where GitHub would show it as a block of code."""

from __future__ import annotations

from collections.abc import Collection

#: Headings of the side bar, and their pages from the repository's root; `*` takes what is there, by name.
CONTENTS: dict[str, list[str]] = {
    "Begin": ["README", "docs/install", "docs/model", "docs/python", "docs/plot", "docs/page", "docs/faq"],
    "Notebooks": ["docs/notebooks", "notebooks/*"],
    "Data": ["docs/prepare", "docs/sources", "docs/quality", "docs/simulation"],
    "Train": ["docs/pretrain-where", "docs/pretrain", "docs/cluster", "docs/negatives", "docs/recipe", "docs/speed"],
    "Evaluate": ["docs/honest-evaluation", "docs/evaluate", "docs/prompts", "docs/study", "docs/results"],
    "Use": ["docs/embed", "docs/search", "docs/explain", "docs/confidence", "docs/serve", "docs/export", "docs/interop"],
    "The bundled model": ["docs/model-card", "src/cmelt/weights/small/README", "docs/data-card"],
    "Extend it": ["docs/extend/index", "docs/extend/*"],
    "Reference": ["docs/api", "docs/commands", "docs/settings", "benchmarks/RESULTS"],
    "How it works": ["docs/method", "docs/map", "docs/reliability", "SECURITY", "docs/licences", "docs/decisions/*", "CHANGELOG"],
}


def toctrees(pages: Collection[str]) -> str:
    """One hidden toctree for each heading of which at least one page is among `pages`."""
    trees = []
    for heading, wanted in CONTENTS.items():
        entries = [page for page in wanted if page in pages or _holds(page, pages)]
        if entries:
            lines = "\n".join(f"/{page}" for page in entries)
            trees.append(f"```{{toctree}}\n:hidden:\n:glob:\n:caption: {heading}\n\n{lines}\n```\n")
    return "\n".join(trees)


def _holds(pattern: str, pages: Collection[str]) -> bool:
    return pattern.endswith("/*") and any(page.startswith(pattern[:-1]) for page in pages)
