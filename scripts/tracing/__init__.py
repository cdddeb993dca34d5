"""From a cell of the daily table back to where it came from: versions, rows, raw artifacts, fetches, and the words for it."""
