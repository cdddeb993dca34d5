"""The read API: what the platform knows, over HTTP, for one person's own programs. It reads and never writes."""
