"""Records → readings: one file per source turns its own shapes into canonical observations."""
