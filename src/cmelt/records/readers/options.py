"""What a reader is told beside the file: what the file leaves unsaid, and whether to read who the patient is."""

from __future__ import annotations

from dataclasses import dataclass

from cmelt.errors import RecordError


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows. A file that states otherwise is an error, not overruled.

    Attributes:
        identity: whether the patient's identifier is read into `Record.patient`; left alone otherwise.
        rate: Hz, for files that hold bare numbers.
        unit: "mV", "uV", "V" or "nV", likewise.
        leads: names of the leads in the file's order, likewise.
    """

    identity: bool = False
    rate: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None


NOTHING_GIVEN = ReadOptions()


def settle_rate(stated: float | None, options: ReadOptions, where: str) -> float:
    """The rate that file and caller agree on.

    Raises:
        RecordError: neither states it, or they contradict each other.
    """
    if stated is None and options.rate is None:
        raise RecordError(where, "does not state its sampling rate", "say it: --rate 500, or ReadOptions(rate=500)")
    if stated is not None and options.rate is not None and abs(stated - options.rate) > 1e-6 * stated:
        raise RecordError(where, f"states {stated:g} Hz, and was said to have {options.rate:g} Hz", "leave --rate away")
    return float(stated if stated is not None else options.rate or 0.0)


def settle_unit(stated: str | None, options: ReadOptions, where: str) -> str:
    """The unit that file and caller agree on, as `settle_rate`."""
    if stated is None and options.unit is None:
        raise RecordError(where, "does not state its unit", 'say it: --unit mV, or ReadOptions(unit="mV")')
    if stated is not None and options.unit is not None and stated.strip().lower() != options.unit.strip().lower():
        raise RecordError(where, f"states another unit than {options.unit!r}", "leave --unit away")
    return str(stated if stated is not None else options.unit)


def settle_leads(stated: tuple[str, ...] | None, options: ReadOptions, count: int, where: str) -> tuple[str, ...]:
    """The names of `count` leads that file and caller agree on, as `settle_rate`; canonical spelling."""
    from cmelt.records.leads import lead_name

    named = [tuple(lead_name(lead) for lead in leads) for leads in (stated, options.leads) if leads is not None]
    if not named:
        raise RecordError(where, "does not name its leads", "say them: --leads I,II,III,…, or ReadOptions(leads=…)")
    if len(named) == 2 and named[0] != named[1]:
        raise RecordError(where, "names its leads otherwise than was said", "leave --leads away")
    if len(named[0]) != count:
        raise RecordError(
            where, f"holds {count} leads where {len(named[0])} are named", "name every lead once, in the file's order"
        )
    return named[0]
