"""Time entries of Toggl Track."""
