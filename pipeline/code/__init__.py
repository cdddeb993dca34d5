"""What code a node can reach: first-party source read as text, never imported, and followed name by name."""
