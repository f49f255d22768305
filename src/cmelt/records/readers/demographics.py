"""Who was recorded, as files say it: age in years, sex."""

from __future__ import annotations

import re

_YEARS_PER_UNIT = {
    "YEARS": 1.0, "YEAR": 1.0, "Y": 1.0, "YR": 1.0, "A": 1.0, "MONTHS": 1 / 12, "MONTH": 1 / 12, "MO": 1 / 12,
    "WEEKS": 7 / 365.25, "WEEK": 7 / 365.25, "WK": 7 / 365.25, "DAYS": 1 / 365.25, "DAY": 1 / 365.25, "D": 1 / 365.25,
    "HOURS": 1 / 8766, "HOUR": 1 / 8766, "H": 1 / 8766,
}  # fmt: skip
_SEXES = {"M": "male", "MALE": "male", "F": "female", "FEMALE": "female"}
_DATE = re.compile(r"^(\d{4})-?(\d{2})-?(\d{2})")

OLDEST = 130.0


def age_in_years(number: float | None, unit: str) -> float | None:
    """`number` of `unit` in years; None where either is missing, unknown or beyond any life."""
    per_unit = _YEARS_PER_UNIT.get(unit.strip().upper())
    if number is None or per_unit is None:
        return None
    age = number * per_unit
    return age if 0 <= age < OLDEST else None


def age_at(birth: str, recorded: str) -> float | None:
    """Whole years from `birth` to `recorded` ("YYYYMMDD…" or "YYYY-MM-DD…"), or fractions below two years; None if unclear."""
    dates = [_DATE.match(text.strip()) for text in (birth, recorded)]
    if dates[0] is None or dates[1] is None:
        return None
    (year, month, day), (then_year, then_month, then_day) = (tuple(map(int, date.groups())) for date in dates if date)
    age = float(then_year - year - ((then_month, then_day) < (month, day)))
    if age < 2:  # for a child of months, whole years would say nothing
        age = (then_year - year) + (then_month - month) / 12 + (then_day - day) / 365.25
    return round(age, 2) if 0 <= age < OLDEST else None


def sex_named(text: str) -> str | None:
    """ "female" or "male" for what devices write ("M", "Female" …), None for all else."""
    return _SEXES.get(text.strip().upper())
