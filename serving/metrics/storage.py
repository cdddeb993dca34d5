"""How much room is taken and left."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import NamedTuple

from pipeline.registry import NAME, Registry

_STORE = "SELECT COALESCE(sum(size), 0), COALESCE(sum(size) FILTER (WHERE name LIKE 'gold/%'), 0) FROM artifact WHERE removed_at IS NULL"


class Storage(NamedTuple):
    """Bytes."""

    places: dict[str, int]
    """registry | store | gold | postgres → bytes kept there; gold's versions are not counted in the store again."""
    free: int | None
    """Of the disk the data root is on, for this user."""
    total: int | None


def read_storage(registry: Registry | None, data_dir: str) -> Storage:
    """What lies below the data root; the embedded server's folder with it, a server elsewhere not."""
    store, gold = registry.db.execute(_STORE).fetchone() if registry else (0, 0)
    names = (NAME, f"{NAME}-wal")
    places = {
        "registry": sum(_size(os.path.join(data_dir, name)) for name in names),
        "store": store - gold,
        "gold": gold,
        "postgres": _below(os.path.join(data_dir, "postgres")),
    }
    try:
        disk = shutil.disk_usage(data_dir)
    except OSError:
        return Storage(places, None, None)
    return Storage(places, disk.free, disk.total)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _below(folder: str) -> int:
    """Bytes of the files below a folder, as far as we may look; links are not followed."""
    total, open_folders = 0, [folder]
    while open_folders:
        with contextlib.suppress(OSError), os.scandir(open_folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    open_folders.append(entry.path)
                else:
                    with contextlib.suppress(OSError):  # gone meanwhile
                        total += entry.stat(follow_symlinks=False).st_size
    return total
