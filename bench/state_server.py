"""The places a state is proved on: a folder, S3 by moto, a fake Drive; each server in a process of its own that can be told to fail.

`python -m bench.state_server s3|drive` prints the settings that lead to it, then answers each line on stdin: to a number (0 to 1) with
what has gone wrong so far and the bytes it has moved, and from then on that part of its answers goes wrong; to `new` with the address
of another empty place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import REPO

KINDS = ("folder", "s3", "drive")


class Place:
    """A remote for the length of a block."""

    def __init__(self, kind: str, url: str, settings: dict[str, str], server: subprocess.Popen[str] | None) -> None:
        self.kind, self.url, self.settings = kind, url, settings
        self._server = server

    @property
    def environment(self) -> dict[str, str]:
        """The same for a whole process."""
        return {"STATE_URL": self.url} | {name.upper(): value for name, value in self.settings.items()}

    def another(self) -> Place:
        """An empty one beside it."""
        url = f"{self.url}-{uuid.uuid4().hex[:8]}" if self._server is None else str(self._ask("new"))
        return Place(self.kind, url, self.settings, self._server)

    def told(self, chance: float = 0.0) -> dict[str, Any]:
        """{"met": {fault: times}, "received", "sent"} so far; from now on `chance` of the answers go wrong. Nothing for a folder."""
        told: dict[str, Any] = {"met": {}, "received": 0, "sent": 0} if self._server is None else self._ask(str(chance))
        return told

    def _ask(self, line: str) -> Any:
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{line}\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """An empty remote of this kind, for the block."""
    if kind == "folder":
        yield Place(kind, str(folder / f"remote-{uuid.uuid4().hex[:8]}"), {}, None)
        return
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.state_server", kind],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            url, settings = json.loads(server.stdout.readline())
            yield Place(kind, url, settings, server)
        finally:
            server.kill()


def main(kind: str) -> None:
    """Serve until stdin ends."""
    if kind == "drive":
        from tests.drive_state_fake import fake_drive

        with fake_drive(lag=0.2) as drive:
            settings = {name.lower(): value for name, value in drive.environment().items()}
            del settings["state_url"]
            _serve(lambda: f"drive:{drive.folder()}", settings, drive)
        return
    from bench.state_relay import relay
    from tests.s3_bench import access, bucket, s3_server

    with s3_server() as store, relay(store) as between:
        holds = bucket(store)
        _serve(lambda: f"s3://{holds}/{uuid.uuid4().hex}", access(between.url), between)


def _serve(new: Callable[[], str], settings: dict[str, str], behind: Any) -> None:
    print(json.dumps([new(), settings]), flush=True)
    for line in sys.stdin:
        if line.strip() == "new":
            print(json.dumps(new()), flush=True)
            continue
        behind.chance = float(line)
        print(json.dumps({"met": dict(behind.met), "received": behind.received, "sent": behind.sent}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
