"""What each command understands: one file per group of commands, imported only when its command is asked for."""
