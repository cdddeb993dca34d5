"""What every engine is given to do: the same DAGs, the same tiny job, the same input files."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

JOB = '''"""The job of every node: read the inputs, write the SHA-256 of their concatenation; one line in `executed.log` proves it ran."""

import hashlib
import os


def sha256(paths):
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def log(name):
    fd = os.open("executed.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, name.encode() + b"\\n")
    os.close(fd)


def work(inputs, output):
    found = sha256(inputs)
    with open(output, "w") as out:
        out.write(found + "\\n")
    log(output)
    return found
'''
SHELL_JOB = "cat {inputs} | sha256sum | cut -c1-64 > {output} && echo {output} >> executed.log"
"""The same job for tools that run commands."""


class Job(NamedTuple):
    """One node: reads files, writes one file; paths are relative to the project."""

    name: str
    inputs: tuple[str, ...]
    output: str


class Workload(NamedTuple):
    """A DAG and the files it starts from."""

    name: str
    title: str
    jobs: tuple[Job, ...]
    files: tuple[tuple[str, int], ...]
    """(path, bytes) of the inputs nobody makes."""
    leaf: str
    """The input that is touched and changed."""
    path: int
    """How many nodes depend on it: what has to run when it changes."""

    def ends(self) -> list[str]:
        """Outputs nobody reads."""
        read = {path for job in self.jobs for path in job.inputs}
        return [job.output for job in self.jobs if job.output not in read]


_SMALL = 1_200


def chain(length: int) -> Workload:
    """Each node reads the one before; the first reads a small file."""
    return _chains("chain", f"chain of {length:,}", length, 1)


def chains(nodes: int, of: int = 10) -> Workload:
    """`of` chains side by side, `nodes` in all: the growth measure's DAG."""
    return _chains(f"chains{nodes}", f"{of} chains, {nodes:,} nodes", nodes, of)


def fan_out(width: int) -> Workload:
    """One shared input; each node reads it and a small file of its own."""
    jobs = [Job(f"n{i}", ("in/shared.txt", f"in/{i}.txt"), f"out/n{i}.txt") for i in range(width)]
    files = [("in/shared.txt", _SMALL), *((f"in/{i}.txt", _SMALL) for i in range(width))]
    return Workload("fan-out", f"fan-out of {width:,}", tuple(jobs), tuple(files), f"in/{width // 2}.txt", 1)


def big_inputs(count: int, size: int) -> Workload:
    """Each node reads one big file."""
    jobs = [Job(f"n{i}", (f"in/{i}.bin",), f"out/n{i}.txt") for i in range(count)]
    files = [(f"in/{i}.bin", size) for i in range(count)]
    name = "giant" if count == 1 else "big"
    title = f"one input of {_human(size)}" if count == 1 else f"{count} inputs of {_human(size)}"
    return Workload(name, title, tuple(jobs), tuple(files), f"in/{count // 2}.bin", 1)


def workloads(quick: bool) -> dict[str, Workload]:
    """The four of the benchmark, by name."""
    if quick:
        found = [chain(5), fan_out(8), big_inputs(2, 1 << 20), big_inputs(1, 8 << 20)]
    else:
        found = [chain(100), fan_out(1_000), big_inputs(50, 20_000_000), big_inputs(1, 1 << 30)]
    return {w.name: w for w in found}


def make_inputs(workload: Workload, folder: Path) -> Path:
    """The workload's input files below `folder`, made once; random bytes, never sparse."""
    rng = random.Random(7)
    for path, size in workload.files:
        file = folder / path
        if file.exists() and file.stat().st_size == size:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "wb") as out:
            out.writelines(rng.randbytes(min(1 << 20, size - start)) for start in range(0, size, 1 << 20))
    return folder


def lay(workload: Workload, inputs: Path, project: Path) -> None:
    """A fresh project folder: the job, the DAG as data, the inputs as hard links, so that a change of one meets every engine alike."""
    shutil.rmtree(project, ignore_errors=True)
    (project / "out").mkdir(parents=True)
    (project / "in").mkdir()
    for path, _ in workload.files:
        os.link(inputs / path, project / path)
    (project / "job.py").write_text(JOB)
    text = json.dumps(workload.jobs)
    (project / "dag.json").write_text(text)
    (project / "dag.py").write_text(f"JOBS = {text}\n")
    (project / "ends.json").write_text(json.dumps(workload.ends()))


def change(file: Path, number: int) -> None:
    """Other bytes in place, in the middle, of the same size; never the same twice."""
    with open(file, "r+b") as out:
        out.seek(file.stat().st_size // 2)
        out.write(f"{number:08d}{os.getpid():08d}".encode())


def touch(file: Path) -> None:
    """A new time stamp on the same bytes."""
    os.utime(file)


def executed(project: Path) -> int:
    """How many nodes have run in this project so far."""
    try:
        return (project / "executed.log").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def shell_job(inputs: Sequence[str], output: str) -> str:
    """The job as a shell command."""
    return SHELL_JOB.format(inputs=" ".join(inputs), output=output)


def _chains(name: str, title: str, nodes: int, of: int) -> Workload:
    jobs = [
        Job(f"c{c}n{i}", (f"out/c{c}n{i - 1}.txt" if i else f"in/{c}.txt",), f"out/c{c}n{i}.txt")
        for c in range(of)
        for i in range(nodes // of)
    ]
    return Workload(name, title, tuple(jobs), tuple((f"in/{c}.txt", _SMALL) for c in range(of)), "in/0.txt", nodes // of)


def _human(size: int) -> str:
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size // 1_000_000} MB"
