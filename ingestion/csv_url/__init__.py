"""A CSV of any header behind a web address, asked whether it changed before it is fetched."""
