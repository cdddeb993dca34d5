"""Wrong skips and needless runs: every mutation, on every engine that can express it, each run in a fresh process.

Verdicts are kept as they come: the same command goes on where the last one stopped; --again forgets them, --report only tells.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.cells import able
from bench.environments import CACHE, program
from bench.harness import Goal, Result, measured, tell
from bench.mutation_cases import Mutation, mutations, write
from bench.mutation_peers import DECLARATIONS, TRUTH, Declaration, given
from bench.workloads import executed

_KEPT = CACHE / "mutations.json"
STALE, NEEDLESS, RIGHT, REFUSED = "stale", "needless", "right", "refused"
Verdicts = dict[str, dict[str, str]]
"""Engine → mutation → verdict."""


def main() -> None:
    """Run what has no verdict yet, keep, tell."""
    asked = _options()
    cases = mutations()
    wanted = asked.only or (["pdp", "make"] if asked.quick else list(DECLARATIONS))
    names, missing = able([n for n in wanted if n != "pdp"])
    names = [*(["pdp"] if "pdp" in wanted else []), *names]
    if asked.quick:
        cases = [c for c in cases if c.name.startswith(("01", "06 ", "54", "59 output e", "stay 01", "stay 13"))]
    verdicts: Verdicts = {} if asked.quick or asked.again else _load()
    if not asked.report:
        _judge_all(names, cases, verdicts, keep=not asked.quick)
    _tell(verdicts, cases, missing, asked.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works: few mutations, no peer but make")
    parser.add_argument("--only", nargs="+", metavar="ENGINE", choices=list(DECLARATIONS), help="these engines")
    parser.add_argument("--again", action="store_true", help="forget earlier verdicts")
    parser.add_argument("--report", action="store_true", help="run nothing, tell what was kept")
    return parser.parse_args()


def _judge_all(names: list[str], cases: list[Mutation], verdicts: Verdicts, keep: bool) -> None:
    for name in names:
        mine = verdicts.setdefault(name, {})
        left = [c for c in cases if c.name not in mine]
        if not left:
            continue
        with tempfile.TemporaryDirectory() as folder, _serving(name, Path(folder)) as env:
            for number, case in enumerate(left):
                mine[case.name] = judge(DECLARATIONS[name], case, Path(folder) / f"case{number}", env)
                print(f"{name}: {case.name}: {mine[case.name]}", file=sys.stderr, flush=True)
                if keep:
                    _save(name, mine)


def judge(engine: Declaration, case: Mutation, project: Path, env: Mapping[str, str]) -> str:
    """Make the project, run it, change it, run it again: stale, needless, right, or refused with the engine's words."""
    try:
        _lay(engine, case, project, env)
        error = _run(engine, project, env)
        if error or not executed(project):
            return f"{REFUSED}: {error or 'the stage never ran'}"
        for change in case.changes:
            time.sleep(0.02)  # beyond one tick of the file system's clock
            change(project, project / engine.out)
            if case.moves:
                project = project.with_name(project.name + "-moved")
            before = executed(project)
            error = _run(engine, project, env)
            if error:
                return f"{REFUSED}: {error}"
        return _verdict(case, executed(project) > before, engine, project, env)
    finally:
        shutil.rmtree(project, ignore_errors=True)


def _verdict(case: Mutation, ran: bool, engine: Declaration, project: Path, env: Mapping[str, str]) -> str:
    if not case.by_output:
        return RIGHT if ran == case.runs else STALE if case.runs else NEEDLESS
    truth = measured(TRUTH, project, _env(engine, project, env))
    try:
        found = (project / engine.out).read_text()
    except OSError:
        found = ""
    return RIGHT if truth and truth.code == 0 and found == truth.stdout.strip() else STALE


def _lay(engine: Declaration, case: Mutation, project: Path, env: Mapping[str, str]) -> None:
    for folder in ("in", "site"):
        (project / folder).mkdir(parents=True)
    files = {"settings.json": '{"used": 1, "unused": 1}', **given(case.with_data), **case.files, **engine.files}
    for name, text in files.items():
        write(project / name, text)
    for command in engine.once():
        subprocess.run(command, cwd=project, env=_env(engine, project, env), check=True, capture_output=True)


def _run(engine: Declaration, project: Path, env: Mapping[str, str]) -> str:
    """Runs the project; the engine's last words if it failed, else ``."""
    done = measured(engine.command(), project, _env(engine, project, env), 120)
    if done is None:
        return "it took more than 120 s"
    return "" if done.code == 0 else done.last_line or "failed"


def _env(engine: Declaration, project: Path, env: Mapping[str, str]) -> dict[str, str]:
    own = {name: value.format(project=project, path=os.environ["PATH"]) for name, value in engine.env.items()}
    return {**os.environ, "PYTHONPATH": f"{project}:{project / 'site'}", "PYTHONDONTWRITEBYTECODE": "1", **own, **env}


@contextlib.contextmanager
def _serving(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """Prefect's runs need its server: one for all of them instead of one for each."""
    if name != "prefect":
        yield {}
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"PREFECT_HOME": str(folder / "server"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    server = subprocess.Popen(
        [program("prefect", "prefect"), "server", "start", "--port", str(port), "--no-ui"],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, server)
        yield {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit("Prefect's server did not start.")


def _load() -> Verdicts:
    return json.loads(_KEPT.read_text()) if _KEPT.exists() else {}


def _save(name: str, mine: dict[str, str]) -> None:
    """Only this engine's verdicts: several engines may be judged at the same time."""
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    tmp = _KEPT.with_suffix(f".{name}")
    tmp.write_text(json.dumps({**_load(), name: mine}, indent=1))
    tmp.replace(_KEPT)


def _tell(verdicts: Verdicts, cases: list[Mutation], missing: list[str], as_json: bool) -> None:
    names = [n for n in DECLARATIONS if verdicts.get(n)]
    marks = {RIGHT: "", STALE: "!", NEEDLESS: "w", "": "-"}
    print(f"  {'mutation':<58}{'right':<7}" + "".join(f"{n:>10}" for n in names))
    for case in cases:
        found = [verdicts[n].get(case.name, "") for n in names]
        row = [
            f"{'R' if (v == RIGHT) == case.runs else 'C'}{marks[v]}" if v in {RIGHT, STALE, NEEDLESS} else v[:7] or "-"
            for v in found
        ]
        print(f"  {case.name[:57]:<58}{'R' if case.runs else 'C':<7}" + "".join(f"{r:>10}" for r in row))
    results = [Result(what, name, float(value), "") for name in names for what, value in _counts(verdicts[name], cases).items()]
    print("  R ran again, C stayed cached; ! stale: a wrong skip, w: a needless run\n")
    for name in missing:
        print(f"  missing: {name} is not installed (bench/engine.py --setup)")
    goals = []
    if "pdp" in names:
        ours = _counts(verdicts["pdp"], cases)
        wrong = [ours["stale"], ours["needless"], ours["refused"]]
        goals.append(
            Goal(
                f"stale, needless, refused of {ours['mutations']} mutations",
                "0, 0, 0",
                ", ".join(map(str, wrong)),
                not any(wrong),
            )
        )
    tell("mutations", results, goals, as_json)


def _counts(mine: Mapping[str, str], cases: list[Mutation]) -> dict[str, int]:
    found = [mine[c.name] for c in cases if c.name in mine]
    return {
        "mutations": len(found),
        "must run again": sum(c.runs for c in cases if c.name in mine),
        "stale": found.count(STALE),
        "must stay cached": sum(not c.runs for c in cases if c.name in mine),
        "needless": found.count(NEEDLESS),
        "refused": sum(v.startswith(REFUSED) for v in found),
    }


if __name__ == "__main__":
    main()
