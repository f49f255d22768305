"""What statements of an ECG report mean, and sentences that say them: the words of every bundled task."""

from cmelt.evaluation.prompts.wording import LANGUAGES, Language, Statement, Wording, read_statements, statements

__all__ = ["LANGUAGES", "Language", "Statement", "Wording", "read_statements", "statements"]
