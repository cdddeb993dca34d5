"""Does bronze agree with the artifacts and with itself? Looking, naming, loading what is missing, taking old months out."""
