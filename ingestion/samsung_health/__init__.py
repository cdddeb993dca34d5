"""Samsung Health: the folder of "Download personal data"."""
