"""What only our engine is asked: growth with the DAG, cost of a commit, hashing against sha256sum, a registry of a million versions."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import workloads as work
from bench.cells import QUIET, environment, prepare
from bench.environments import CACHE
from bench.harness import REPO, Measured, measured
from bench.peers import FLOOR, FLOOR_MAKE, LOOP, OURS

_IO = "import runpy, sys\ntry:\n    runpy.run_path('run.py', run_name='__main__')\nexcept SystemExit as end:\n    assert not end.code\n"
_IO += "print(open('/proc/self/io').read().split()[1])\n"
"""Runs the project and tells how many bytes the process has read, by the kernel's count."""


class Growth(NamedTuple):
    """No-op by number of nodes, seconds."""

    sizes: list[int]
    ours: list[float]
    floor: list[float]
    cold: list[float]

    def slope(self, times: Sequence[float]) -> float:
        """µs per node, by least squares."""
        return statistics.linear_regression(self.sizes, times).slope * 1e6

    def bend(self) -> float:
        """Slope of the upper part over that of the lower one: 1 is linear."""
        (a, b, c), (x, y, z) = self.ours[-3:], self.sizes[-3:]
        return ((c - b) / (z - y)) / max((b - a) / (y - x), 1e-9)


def growth(folder: Path, sizes: Sequence[int], rounds: int, quiet: float = QUIET) -> Growth:
    """Ten chains of growing length, ours and the floor interleaved over all sizes."""
    projects = []
    cold = []
    for size in sizes:
        workload = work.chains(size)
        inputs = work.make_inputs(workload, CACHE / "inputs" / "chains")
        ours, floor = folder / f"ours-{size}", folder / f"floor-{size}"
        prepare(OURS, workload, inputs, ours)
        prepare(LOOP, workload, inputs, floor)
        cold.append(_run(OURS.command(), ours))
        _run(LOOP.command(), floor)
        _run(FLOOR_MAKE, floor)
        projects.append((ours, floor))
        _say(f"growth: {size} nodes, cold {cold[-1]:.2f} s")
    time.sleep(quiet)
    for ours, _ in projects:
        _settle(ours)
    times: dict[Path, list[float]] = {path: [] for pair in projects for path in pair}
    for _ in range(rounds):
        for ours, floor in projects:
            times[ours].append(_run(OURS.command(), ours))
            times[floor].append(_run(FLOOR, floor))
    found = Growth(list(sizes), [min(times[o]) for o, _ in projects], [min(times[f]) for _, f in projects], cold)
    for pair in projects:
        for path in pair:
            shutil.rmtree(path)
    return found


class Overhead(NamedTuple):
    """A cold run of a chain, seconds."""

    nodes: int
    ours: list[float]
    loop: list[float]
    """A plain loop over the same jobs, nothing synced."""

    def per_node(self) -> float:
        """What the engine adds to each node, durable commit included, seconds."""
        return (min(self.ours) - min(self.loop)) / self.nodes


def cold_overhead(folder: Path, nodes: int, rounds: int) -> Overhead:
    """Ours and a plain loop over the same jobs, cold, interleaved."""
    workload = work.chain(nodes)
    inputs = work.make_inputs(workload, CACHE / "inputs" / "chains")
    ours, loop = [], []
    for _ in range(rounds):
        prepare(OURS, workload, inputs, folder / "ours")
        ours.append(_run(OURS.command(), folder / "ours"))
        prepare(LOOP, workload, inputs, folder / "loop")
        loop.append(_run(LOOP.command(), folder / "loop"))
    shutil.rmtree(folder / "ours")
    shutil.rmtree(folder / "loop")
    return Overhead(nodes, ours, loop)


_ASIDE = """def run(inputs, outputs, settings):
    inputs.one("r0")
    with outputs.open("out") as out:
        out.write(b"seen\\n")
"""
_WRITER = """BLOCK = bytes(range(256)) * 4096


def run(inputs, outputs, settings):
    with outputs.open("out") as out:
        for _ in range(COUNT):
            out.write(BLOCK)
"""
_PLAIN_WRITER = """import os

BLOCK = bytes(range(256)) * 4096
with open("plain.bin", "wb") as out:
    for _ in range(COUNT):
        out.write(BLOCK)
    out.flush()
    os.fsync(out.fileno())
"""
_DIGEST = "import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256').hexdigest())"


class Hashing(NamedTuple):
    """One big file in and out, seconds unless said otherwise."""

    size: int
    unread: int
    """Bytes a no-op reads beyond those of a no-op over a tiny file."""
    cold_in: list[float]
    """Ours, whole process: the input hashed, its job not reading it."""
    sha256sum: list[float]
    hashlib: list[float]
    cold_out: list[float]
    """Ours, whole process: an output of that size written, hashed, synced, committed."""
    write_then_sum: list[float]
    """A plain script that writes and syncs the same bytes, then sha256sum over them."""
    write_then_hashlib: list[float]
    out_read: int
    """Bytes ours reads in that run beyond those of one with a tiny output."""


def hashing(folder: Path, size: int, rounds: int, quiet: float = QUIET) -> Hashing:
    """An unchanged big input, a cold one, a big output; against sha256sum and Python's own OpenSSL, interleaved."""
    inputs = work.make_inputs(work.big_inputs(1, size), CACHE / "inputs" / f"giant-1-{size}")
    tiny = work.make_inputs(work.big_inputs(1, 4_096), CACHE / "inputs" / "giant-1-4096")
    big_read, tiny_read = (_no_op_reads(folder / "still", where, n, quiet) for where, n in ((inputs, size), (tiny, 4_096)))
    file = str(inputs / "in/0.bin")
    python = [sys.executable, "-c", _DIGEST]
    times: dict[str, list[float]] = {name: [] for name in ("in", "sum", "lib", "out", "write+sum", "write+lib")}
    plain = folder / "plain"
    plain.mkdir(parents=True)
    (plain / "write.py").write_text(_PLAIN_WRITER.replace("COUNT", str(size >> 20)))
    for _ in range(rounds):
        times["in"].append(_run(OURS.command(), _project(folder / "in", inputs, size, _ASIDE)))
        times["sum"].append(_run(["sha256sum", file], plain))
        times["lib"].append(_run([*python, file], plain))
        writer = _WRITER.replace("COUNT", str(size >> 20))
        times["out"].append(_run(OURS.command(), _project(folder / "out", tiny, 4_096, writer)))
        shutil.rmtree(folder / "out")
        for name, command in (("write+sum", ["sha256sum", "plain.bin"]), ("write+lib", [*python, "plain.bin"])):
            times[name].append(_run([sys.executable, "write.py"], plain) + _run(command, plain))
            (plain / "plain.bin").unlink()
    reads = [_reads(_project(folder / "out", tiny, 4_096, _WRITER.replace("COUNT", str(n)))) for n in (size >> 20, 1)]
    shutil.rmtree(folder)
    return Hashing(
        size,
        big_read - tiny_read,
        times["in"],
        times["sum"],
        times["lib"],
        times["out"],
        times["write+sum"],
        times["write+lib"],
        reads[0] - reads[1],
    )


class Crowd(NamedTuple):
    """The same pipeline over an empty registry and over one with very many versions."""

    versions: int
    megabytes: float
    """Of the registry file."""
    empty: list[float]
    full: list[float]
    """No-op, whole processes, seconds."""
    opening: float
    """Opening the full registry and reading one row, seconds."""
    lineage: float
    """Everything upstream and downstream of an artifact with a hundred ancestors, in the full registry, seconds."""
    gc_empty: tuple[float, float] | None
    gc_full: tuple[float, float] | None
    """`gc --keep 2 --dry-run`: seconds, peak MB; None when the command ends with an error."""


def crowd(folder: Path, versions: int, rounds: int, quiet: float = QUIET) -> Crowd:
    """Measure with `versions` artifact versions beside those of a chain of 100."""
    workload = work.chain(100)
    inputs = work.make_inputs(workload, CACHE / "inputs" / "chains")
    empty, full = folder / "empty", folder / "full"
    for project in (empty, full):
        prepare(OURS, workload, inputs, project)
        _run(OURS.command(), project)
    _say(f"registry: writing {versions:,} versions")
    _fill(full / "data" / "registry.db", versions)
    time.sleep(quiet)
    for project in (empty, full):
        _settle(project)
    times: dict[Path, list[float]] = {empty: [], full: []}
    for _ in range(rounds):
        for project, taken in times.items():
            taken.append(_run(OURS.command(), project))
    opening, lineage = _lineage(full, workload.jobs[-1].output)
    found = Crowd(
        versions,
        (full / "data" / "registry.db").stat().st_size / 1e6,
        times[empty],
        times[full],
        opening,
        lineage,
        _gc(empty),
        _gc(full),
    )
    shutil.rmtree(folder)
    return found


def _fill(path: Path, versions: int) -> None:
    """Half of them superseded versions of the chain's own artifacts, half of artifacts whose nodes are gone; all by committed attempts."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    run = "INSERT INTO run (id, started_at, ended_at, selection, host, pid, status)"
    db.execute(run + " VALUES ('filler', 0, 1, '{}', 'host', 1, 'succeeded')")
    own = [
        (name, node) for name, node in db.execute("SELECT f.name, a.node FROM artifact f JOIN attempt a ON a.id = f.attempt_id")
    ]
    each = versions // 2 // len(own)
    db.execute("UPDATE artifact SET version = version + ?", (each,))
    (code, settings, environment_id) = db.execute("SELECT code_id, settings_id, environment_id FROM attempt").fetchone()
    (last,) = db.execute("SELECT max(id) FROM artifact").fetchone()
    gone = [(f"gone/{n}.txt", f"gone{n}") for n in range(versions // 2 // 100)]
    made = [(name, node, v) for name, node in own for v in range(1, each + 1)]
    made += [(name, node, v) for name, node in gone for v in range(1, 101)]
    rows = list(enumerate(made, last + 1))
    attempt = "INSERT INTO attempt (id, run_id, node, stage, input_hash, state, code_id, settings_id, environment_id, started_at, reasons)"
    attempt += " VALUES (?, 'filler', ?, 'bench', ?, 'committed', ?, ?, ?, 0, '[]')"
    same = (code, settings, environment_id)
    db.executemany(attempt, ((f"{i:032x}", node, f"{i:064x}", *same) for i, (_, node, _) in rows))
    artifact = "INSERT INTO artifact (id, name, version, sha256, size, rows, path, attempt_id, created_at)"
    artifact += " VALUES (?, ?, ?, ?, 65, NULL, ?, ?, 0)"
    db.executemany(
        artifact, ((i, name, v, f"{i:064x}", f"store/{name}/v{v}-{i:016x}.txt", f"{i:032x}") for i, (name, _, v) in rows)
    )
    db.executemany("INSERT INTO attempt_output VALUES (?, ?, 'out')", ((f"{i:032x}", i) for i, _ in rows))
    db.executemany("INSERT INTO attempt_input VALUES (?, 'r0', ?, ?, ?, 65)", _edges(rows, last))
    db.commit()
    db.close()


def _edges(rows: Sequence[tuple[int, tuple[str, str, int]]], last: int) -> Iterator[tuple[str, str, int | None, str]]:
    """Each version was made of the one before it in the list, in runs of a hundred."""
    for i, (name, _, _) in rows:
        before = i - 1 if i > last + 1 and i % 100 else None
        yield f"{i:032x}", name, before, f"{i - 1:064x}"


_LINEAGE = """import json, sys, time
sys.path.insert(0, {repo!r})
from pipeline.answers.lineage import find, walk
from pipeline.registry import Registry
def opened():
    began = time.perf_counter()
    registry = Registry.read("data")
    registry.db.execute("SELECT id FROM artifact LIMIT 1").fetchone()
    registry.close()
    return time.perf_counter() - began
def asked():
    registry = Registry.read("data")
    began = time.perf_counter()
    row = find(registry, {name!r})
    up, down = walk(registry, row[0], up=True).steps, walk(registry, row[0], up=False).steps
    took = time.perf_counter() - began
    registry.close()
    assert len(up) >= {least}, len(up)
    return took
print(json.dumps([min(opened() for _ in range(5)), min(asked() for _ in range(5))]))
"""


def _lineage(project: Path, name: str) -> tuple[float, float]:
    script = _LINEAGE.format(repo=str(REPO), name=name, least=99)
    done = _measured([sys.executable, "-c", script], project)
    opening, asked = json.loads(done.stdout)
    return opening, asked


_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def _gc(project: Path) -> tuple[float, float] | None:
    asked = [sys.executable, str(REPO / "main.py"), "gc", "--keep", "2", "--dry-run", "--json"]
    command = [sys.executable, "-c", _PEAK, *asked]  # started by a small process: a child's peak begins with its parent's
    done = measured(command, project, {**os.environ, "DATA_DIR": str(project / "data")})
    return (done.seconds, float(done.last_line)) if done and done.code == 0 else None


def _no_op_reads(project: Path, inputs: Path, size: int, quiet: float) -> int:
    """Bytes read by a settled no-op over one input of this size."""
    prepare(OURS, work.big_inputs(1, size), inputs, project)
    _run(OURS.command(), project)
    time.sleep(quiet)
    _settle(project)
    return _reads(project)


def _reads(project: Path) -> int:
    return int(_measured([sys.executable, "-c", _IO], project).stdout.split()[-1])


def _project(project: Path, inputs: Path, size: int, stage: str) -> Path:
    prepare(OURS, work.big_inputs(1, size), inputs, project)
    (project / "stage.py").write_text(stage)
    return project


def _settle(project: Path) -> None:
    """Two runs with nothing to do: the first reads again what was fresh and keeps its answer, the second uses it."""
    for _ in range(2):
        _run(OURS.command(), project)


def _run(command: Sequence[str], project: Path) -> float:
    return _measured(command, project).seconds


def _measured(command: Sequence[str], project: Path) -> Measured:
    found = measured(command, project, environment(OURS, project))
    if found is None or found.code:
        sys.exit(f"{' '.join(command)} failed: {found.last_line if found else 'it took too long'}")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
