"""An object store that speaks S3, in this process, over a socket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.settings import Settings


@contextmanager
def s3_server() -> Iterator[str]:
    """moto's server; gives its address."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def access(endpoint: str) -> dict[str, str]:
    """Settings under which the server lets us in."""
    return {
        "aws_endpoint_url": endpoint,
        "aws_access_key_id": "someone",
        "aws_secret_access_key": "something",
        "aws_region": "us-east-1",
    }


def bucket(endpoint: str) -> str:
    """A new bucket; gives its name."""
    from urllib.request import Request, urlopen

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    scope = "AWS4-HMAC-SHA256 Credential=someone/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
    with urlopen(Request(f"{endpoint}/{name}", method="PUT", headers={"Authorization": scope})) as answer:
        assert answer.status == 200
    return name


def s3_settings(endpoint: str, url: str) -> Settings:
    """The settings of a state in that store."""
    own: dict[str, Any] = {"_env_file": None, "state_url": url, **access(endpoint)}
    return Settings(**own)
