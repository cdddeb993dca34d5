"""OMRON exports: the CSV that OMRON connect sends by mail, and the files omblepy reads out of the cuff."""
