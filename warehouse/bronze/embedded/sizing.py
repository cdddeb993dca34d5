"""Server settings for one person's machine, by its memory and disk."""

from __future__ import annotations

import os
import shutil

_MB = 1 << 20
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int:
    """Bytes this process may use: the machine's memory, or the container's limit when that is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _LIMITS:
        try:
            with open(path, encoding="ascii") as text:
                limit = text.read().strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def server_settings(major: int, folder: str, available: int | None = None) -> dict[str, str]:
    """Settings given on the server's command line. 512 MB of memory in all is enough."""
    total = available or memory()
    settings = {
        "listen_addresses": "",  # the unix socket only
        "unix_socket_permissions": "0700",
        "max_connections": "40",
        "max_locks_per_transaction": "256",  # a query over all months of a table locks each month and its indexes
        "client_connection_check_interval": "5s",  # a statement whose client was killed ends, and so do its locks
        "timezone": "UTC",
        "log_timezone": "UTC",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "wal_compression": "on",
        "max_wal_size": _megabytes(shutil.disk_usage(folder).free // 8, 256, 4096),
        "shared_buffers": _megabytes(total // 16, 16, 512),
        "work_mem": _megabytes(total // 128, 4, 32),
        "maintenance_work_mem": _megabytes(total // 32, 16, 256),
        "max_parallel_workers_per_gather": "0",  # parallel plans need /dev/shm, which containers keep at 64 MB
        "max_parallel_maintenance_workers": "0",
        "jit": "off",
        # measured values must not reach a log: failing statements, their rows and their details stay out of it
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
    if major >= 18:
        settings["io_method"] = "sync"  # three processes fewer
    return settings


def _megabytes(size: int, low: int, high: int) -> str:
    return f"{min(max(size // _MB, low), high)}MB"
