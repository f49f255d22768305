"""A study: models × data × seeds, each cell trained and measured once, and one table of paired differences."""
