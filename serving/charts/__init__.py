"""Charts: every module answers `panel(gold, view)` with a chart, one line in words, and the rows behind it."""
