"""Ten clients asking at once: `wrk` where it is installed, else as many coroutines of ours."""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

CLIENTS = 10
_SCRIPT = """
local n, paths = 0, {%s}
request = function()
  n = n + 1
  return wrk.format("GET", paths[n %% #paths + 1])
end
done = function(summary, latency, requests)
  io.write(string.format("FIGURES %%d %%d %%d %%d\\n", summary.requests, summary.duration, latency:percentile(95),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


class Load(NamedTuple):
    """What ten clients saw."""

    per_second: float
    p95: float
    """Milliseconds."""
    failed: int
    """Answers that were none, or no success."""


def load(address: str, paths: list[str], key: str, seconds: int) -> Load:
    """Ask these paths in turn, for so long."""
    program = shutil.which("wrk")
    return _wrk(program, address, paths, key, seconds) if program else asyncio.run(_ours(address, paths, key, seconds))


def tool() -> str:
    """Who asks."""
    return "wrk" if shutil.which("wrk") else "asyncio"


def _wrk(program: str, address: str, paths: list[str], key: str, seconds: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "ask.lua")
        script.write_text(_SCRIPT % ", ".join(f'"{path}"' for path in paths))
        command = [program, "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "-s", str(script), "-H", f"X-API-Key: {key}", address]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+)", said)
    assert found, said
    asked, duration, p95, failed = map(int, found.groups())
    return Load(asked / (duration / 1e6), p95 / 1000, failed)


async def _ours(address: str, paths: list[str], key: str, seconds: int) -> Load:
    place, took, failed, until = urlsplit(address), [], 0, time.perf_counter() + seconds

    async def client(first: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        at = first
        while time.perf_counter() < until:
            began = time.perf_counter()
            asked = f"GET {paths[at % len(paths)]} HTTP/1.1\r\nHost: {place.netloc}\r\nX-API-Key: {key}\r\n\r\n"
            writer.write(asked.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            await reader.readexactly(_length(head))
            took.append((time.perf_counter() - began) * 1000)
            failed += not head.startswith("HTTP/1.1 200")
            at += CLIENTS
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return Load(len(took) / seconds, statistics.quantiles(took, n=20)[-1], failed)


def _length(head: str) -> int:
    found = re.search(r"(?i)\r\ncontent-length: (\d+)", head)
    return int(found[1]) if found else 0
