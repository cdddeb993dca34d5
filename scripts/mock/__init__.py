"""One invented year of one invented person, and a writer per vendor layout."""
