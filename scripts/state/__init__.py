"""The state kept elsewhere: pulled by a job on an empty machine, pushed when it has run. See docs/state.md."""
