"""Which records make step n, what is hidden of them, which negatives are put in."""
