"""Who is told when something is not as it should be: rules judged after each run, channels, and what was told already."""
