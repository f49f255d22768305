"""`cmelt serve`: the same answers over HTTP. Needs the extra `serve`; nothing here is imported before the command runs."""
