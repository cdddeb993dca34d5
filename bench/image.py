"""The image: built from nothing, then a job, the API and the dashboard in it, with a root it cannot write and no rights.

python bench/image.py [--json] [--quick] [--engine auto|docker|podman]
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import Goal, Result, tell
from bench.image_engines import Docker, Podman, engine

TAG = "localhost/pdp:bench"
_LIMIT = 300.0
_HEALTHY = (
    "until [[ -s /tmp/pdp-role ]] && /app/entrypoint.sh health; do sleep 0.1; done"  # before it says what it is, it is well
)
_LOOK = """
import json, os
writable = []
for folder, inside, _ in os.walk("/"):
    inside[:] = [n for n in inside if os.path.join(folder, n) not in ("/proc", "/sys", "/dev")]
    if os.access(folder, os.W_OK):
        writable.append(folder)
        inside.clear()
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "writable": sorted(writable), "rights": status["CapEff"].strip(),
    "first": open("/proc/1/cmdline").read().split("\\0")[0],
    "private": [p for p in ("/app/.env", "/app/data", "/app/.streamlit/secrets.toml", "/app/.git", "/app/tests") if os.path.exists(p)],
    "documents": sorted(os.listdir(next(iter(__import__("googleapiclient").__path__)) + "/discovery_cache/documents")),
}))
"""


def main() -> None:
    """Build, look, run; print the table, or nothing but why not where there is no engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="use the image of an earlier call, if there is one")
    parser.add_argument("--engine", choices=("auto", "docker", "podman"), default="auto")
    options = parser.parse_args()
    found = engine(options.engine)
    if found is None:
        print(
            "NO CONTAINER ENGINE (docker; or root with podman, buildah, crun, mmdebstrap): the image is not built.",
            file=sys.stderr,
        )
        tell("image", [], [], options.json)
        return
    results, goals = [], []
    found.prepare()
    if not (options.quick and _there(found)):
        took = _timed(lambda: found.build(TAG))
        results.append(Result("build, without a cache, its base there", found.name, took, "s"))
    size, base = found.size(TAG), found.base_size()
    results += [Result("size", "image", size / 1e6, "MB"), Result("size", "its base", base / 1e6, "MB")]
    results.append(Result("size", "ours in it", (size - base) / 1e6, "MB"))
    goals += _looked(found)
    for name, words in (("an empty container", ["bash", "-c", "true"]), ("python main.py status", ["status"])):
        with container(found, words) as one:
            results.append(Result("start to end", name, _timed(lambda started=one: started.ended()), "s"))
    more, met = _job(found)
    results += more
    goals += met
    for role in ("api", "web"):
        started, stopped, code = _served(found, role)
        results += [Result("start: healthy", role, started, "s"), Result("stop", role, stopped, "s")]
        goals.append(Goal(f"{role} ends by itself when told to", "code 0 or 143", str(code), code in {0, 143}))
    tell("image", results, goals, options.json)


def _there(found: Docker | Podman) -> bool:
    try:
        return found.size(TAG) > 0
    except subprocess.CalledProcessError:
        return False


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


class Container:
    """One that is made, and not started yet: copying an image may take longer than anything in it."""

    def __init__(self, found: Docker | Podman, name: str) -> None:
        self.name = name
        self._engine = found

    def start(self) -> subprocess.Popen[str]:
        """Start it; a signal to this process goes on to it, and its code is that of the container."""
        command = self._engine.control("start", "--attach", self.name)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(self) -> str:
        """Start it and wait; gives the last line of its stdout."""
        process = self.start()
        out, err = process.communicate(timeout=_LIMIT)
        assert process.returncode == 0, (process.returncode, err[-2000:])
        return out.splitlines()[-1] if out else ""

    def asked(self, script: str) -> bool:
        """Whether a script in it ends with 0; False while it does not run yet."""
        ask = self._engine.control("exec", self.name, "bash", "-c", script)
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0


@contextmanager
def container(found: Docker | Podman, words: list[str], *arguments: str) -> Iterator[Container]:
    """A container of the image with these words; it is gone afterwards."""
    name = f"pdp-bench-{secrets.token_hex(4)}"
    subprocess.run(found.create("--name", name, *arguments, TAG, *words), capture_output=True, check=True)
    try:
        yield Container(found, name)
    finally:
        subprocess.run(found.control("rm", "--force", "--volumes", name), capture_output=True, check=False)


def _looked(found: Docker | Podman) -> list[Goal]:
    with container(found, ["python", "-c", _LOOK]) as one:
        seen = json.loads(one.ended())
    documents = [name for name in seen["documents"] if name != "index.json"]
    return [
        Goal("user", "uid and gid 10001", f"{seen['uid']}:{seen['gid']}", seen["uid"] == seen["gid"] == 10001),
        Goal("folders it can write", "/data /tmp", " ".join(seen["writable"]), seen["writable"] == ["/data", "/tmp"]),
        Goal("rights of a process", "none", seen["rights"], int(seen["rights"], 16) == 0),
        Goal("process 1", "tini", seen["first"], seen["first"] == "tini"),
        Goal("private or unneeded files", "none", " ".join(seen["private"]) or "none", not seen["private"]),
        Goal("descriptions of Google services", "3", str(len(documents)), len(documents) == 3),
    ]


def _job(found: Docker | Podman) -> tuple[list[Result], list[Goal]]:
    """The example year twice over one data root, then a third that is told to stop."""
    volume = f"pdp-bench-{secrets.token_hex(4)}"
    runs = []
    try:
        for _ in range(2):
            with container(found, ["job", "--json"], "--volume", f"{volume}:/data") as one:
                began = time.perf_counter()
                said = one.ended()
                runs.append((time.perf_counter() - began, json.loads(said)))
        stopped, code = _stopped(found, volume)
    finally:
        subprocess.run(found.control("volume", "rm", "--force", volume), capture_output=True, check=False)
    ran = [sum(node["action"] == "ran" for node in run["nodes"]) for _, run in runs]
    results = [
        Result("the example year, with its own Postgres", "job", runs[0][0], "s"),
        Result("of this the run itself", "job", runs[0][1]["seconds"], "s"),
        Result("once more: nothing to do", "job", runs[1][0], "s"),
        Result("of this the run itself", "job", runs[1][1]["seconds"], "s"),
        Result("told to stop in the middle: until it has ended", "job", stopped, "s"),
    ]
    goals = [
        Goal("the example year runs", "succeeded", runs[0][1]["status"], runs[0][1]["status"] == "succeeded" and ran[0] > 0),
        Goal("once more: nothing runs", "0", str(ran[1]), ran[1] == 0),
        Goal("a job told to stop ends by itself", "code 143", str(code), code == 143),
    ]
    return results, goals


def _stopped(found: Docker | Podman, volume: str) -> tuple[float, int]:
    with container(found, ["job", "--force"], "--volume", f"{volume}:/data") as one:
        process = one.start()
        assert process.stderr
        for line in process.stderr:
            if "node_started" in line:
                break
        began = time.perf_counter()
        process.terminate()
        process.communicate(timeout=_LIMIT)
        return time.perf_counter() - began, process.returncode


def _served(found: Docker | Podman, role: str) -> tuple[float, float, int]:
    """(seconds until it is healthy, seconds until it has ended, its code)."""
    with container(found, [role], "--env", f"API_KEY={secrets.token_urlsafe(32)}") as one:
        began = time.perf_counter()
        process = one.start()
        while not one.asked(_HEALTHY):
            assert process.poll() is None, (role, process.returncode)
            assert time.perf_counter() - began < _LIMIT, role
        started = time.perf_counter() - began
        began = time.perf_counter()
        process.terminate()
        process.communicate(timeout=_LIMIT)
        return started, time.perf_counter() - began, process.returncode


if __name__ == "__main__":
    main()
