"""What a backup is made of, by name."""

from __future__ import annotations

FORMAT = 1
HEAD, REGISTRY, BRONZE, SETTINGS = "backup.json", "registry.db", "bronze.dump", "settings.yaml"
BESIDE = ("inbox", "reports", "alerts.json", "audit.jsonl")
"""Of the data root, beside the versions in the store."""
WORKSHOP = ".backup"
"""Where a backup is gathered and a restore unpacked, in the data root; nothing of it outlives the command."""
RESTORED_SETTINGS = "settings.restored.yaml"
REPLACED = "replaced-"
"""What a restore with --force has put aside begins with it."""
