"""A source that reads numbers from a remote page by page, and what is made of them. A file plays the remote: what it has, what it does."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from config.stage import Finding, Inputs, Outputs, Report


def told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the remote has and does."""
    with open(settings["remote"], encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """The remote's content, or None where it says nothing of it."""
    remote = told(settings)
    return None if remote.get("mute") else hashlib.sha256(json.dumps(remote["numbers"]).encode()).hexdigest()


class Source:
    """Called by the engine as `Paging.extract`."""

    stream = "numbers"

    @classmethod
    def extract(cls, inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
        """Commit what is new, a page for `size` numbers; `die`: the pages after which it dies, `stop`: after which the remote refuses."""
        remote = told(settings)
        for file in inputs.many("inbox"):
            with outputs.open("raw", file.name.removeprefix("inbox/api/")) as out, open(file.path, "rb") as given:
                out.write(given.read())
        pages = outputs.pages("raw", cls.stream)
        at, asked = (pages.state() or {"next": 0})["next"], 0
        while at < len(remote["numbers"]):
            if asked == remote.get("stop"):
                told_so = Finding(code="incomplete", message="The remote wants a rest.", count=1, where=cls.stream)
                return Report(rows={"raw": len(pages.new())}, findings=[told_so])
            if asked == remote.get("die"):
                if remote.get("hard"):
                    os._exit(9)
                raise ValueError(asked)
            size = remote["size"]
            page = remote["numbers"][at : at + size]
            with open(f"{settings['remote']}.asked", "a", encoding="utf-8") as log:
                log.write(f"{at}\n")
            body, at, asked = json.dumps(page).encode(), at + len(page), asked + 1
            if pages.known(hashlib.sha256(body).hexdigest()):
                pages.advance({"next": at}, repeated=1)
            else:
                pages.commit(body, {"next": at}, facts={"at": at}, records=len(page))
            if asked == remote.get("stopped"):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.1)
        new = pages.new()
        for committed in new:  # a stage may look at its pages again
            with open(committed.path, encoding="utf-8") as file:
                json.load(file)
        return Report(rows={"raw": len(new)})


class Paging(Source):
    """Inherits all it does."""


def gathered(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Every number of every page, once."""
    found: set[int] = set()
    for file in inputs.many("raw"):
        with open(file.path, encoding="utf-8") as page:
            found |= set(json.load(page))
    with outputs.open("all") as out:
        out.write(json.dumps(sorted(found)).encode())
    return Report(rows={"all": len(found)})
