"""The command `export`: everything of a person, handed out in formats that others can read."""
