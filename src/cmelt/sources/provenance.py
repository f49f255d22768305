"""Where a record comes from first: the Challenge is made of other collections, which are also prepared by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from cmelt.sources.cinc2021 import RECORD_NAME, part_of

#: Sources whose records keep the names that the Challenge gave them, so that the name tells the collection.
_NAMED_AS_IN_THE_CHALLENGE = ("cinc2021", "cpsc2018", "csn")
#: Sources that are one part of the Challenge, whatever they call their records.
_WHOLE_PARTS: Mapping[str, str] = {"ptb-xl": "ptb-xl"}


def collection_of(source: str, record: str) -> str:
    """The collection of a stored record, by the names of the Challenge's parts; "" where it cannot be told.

    Example:
        >>> collection_of("cinc2021", "HR00001"), collection_of("ptb-xl", "1"), collection_of("folder", "1")
        ('ptb-xl', 'ptb-xl', '')
    """
    if source in _NAMED_AS_IN_THE_CHALLENGE and RECORD_NAME.fullmatch(record):
        return part_of(record)
    return _WHOLE_PARTS.get(source, "")
