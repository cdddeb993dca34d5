"""`serve api`: the API on a port of this machine, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TextIO

from config.errors import SettingsError
from scripts.project import Project

_LAST_ANSWERS = 10
"""Seconds that questions already asked may still take once we are told to stop."""
_WAITING = 2048
_CALLERS = 200
"""Connections at once; whoever comes then is asked to come again (503)."""


def serve(project: Project, host: str | None = None, port: int | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what was asked; gives 0. Port 0 is any free one.

    SettingsError for a port that is taken, for a key that can be guessed, and for a network address without a key.
    """
    import uvicorn

    from serving.api.app import application
    from serving.api.configuration import configuration

    wanted = configuration(project.settings.whole(), host, port)
    taken = _listening(wanted.host, wanted.port)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # its tracebacks may hold a value: `Guard` tells what failed
    app = application(project, wanted)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=_CALLERS,
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )
    )
    name = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    _tell(sys.stdout, f"The API is at http://{name}:{taken.getsockname()[1]}/ (Ctrl-C stops it).")
    if not wanted.keys:
        _tell(sys.stderr, f"No {wanted.key_name} is set: only / and /health answer.")

    def stop(*_: object) -> None:  # before the server listens to signals, and once more after: it raises again what it caught
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        server.run(sockets=[taken])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        taken.close()
    return 0


def _tell(stream: TextIO, text: str) -> None:
    stream.write(text + "\n")
    stream.flush()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_WAITING)  # who comes before the server is ready waits
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(
            f"The API cannot listen there: {error.strerror or 'no such address'}.", "Choose another --port, or API_HOST."
        ) from None
    return listener
