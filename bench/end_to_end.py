"""Events from their producer to the daily table, counted at every hop, by the commands a person types.

A mock API's events (out of order, late, twice, broken) go by HTTP to the Lambda's zip, which stores them in S3 (an emulator in this
process); `python main.py` takes them to bronze, silver and the daily table, killed and started again on the way. Then the same events
come once more through a Kinesis stream: two sources tell them, silver tells each once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import REPO, Goal, Result, options, tell

BUCKET, STREAM = "events-of-a-mock-api", "events"
_ACCESS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "us-east-1"}
_HELD = """
SELECT (SELECT count(*) FROM bronze_s3_events_current), (SELECT count(*) FROM silver.records),
       (SELECT count(*) FROM silver.records WHERE name = 'heart_rate'),
       (SELECT round(sum(value)::numeric, 3) FROM silver.records WHERE name = 'steps')
"""


class Lab:
    """A data root, an emulator, and the commands between them."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        own = {"DATA_DIR": str(folder / "data"), "TIMEZONE": "Europe/Warsaw", "AWS_ENDPOINT_URL": endpoint}
        self.env = {**os.environ, **_ACCESS, **own, "S3_EVENTS_URL": f"s3://{BUCKET}/events/"}

    def command(self, *words: str) -> str:
        """What a command prints; its last word on stderr when it fails."""
        done = subprocess.run(self._line(words), cwd=REPO, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            sys.exit(f"  {' '.join(words[:3])} failed: {next((line for line in said if 'failed' in line), said[-1:])}")
        return done.stdout

    def told(self, *words: str) -> Any:
        """The object a command prints last."""
        return json.loads(self.command(*words, "--json").splitlines()[-1])

    def killed(self, seconds: float) -> bool:
        """Start a run and kill it, and all it has started, after so long; False when it had ended before."""
        run = subprocess.Popen(self._line([]), cwd=REPO, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            return True
        return False

    @contextmanager
    def function(self) -> Iterator[str]:
        """The zip behind HTTP; gives its address."""
        zipped = str(self.folder / "events.zip")
        self.command("events", "build-lambda", "--out", zipped)
        log = self.folder / "function.log"
        words = ["events", "run-lambda", "--bucket", BUCKET, "--zip", zipped, "--port", "0"]
        with log.open("w") as said:
            served = subprocess.Popen(self._line(words), cwd=REPO, env=self.env, stdout=subprocess.DEVNULL, stderr=said)
        try:
            yield _address(served, log)
        finally:
            served.terminate()
            served.wait()

    def _line(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, str(REPO / "main.py"), *words]


def main() -> None:
    """Send, run, count, tell."""
    asked = options(__doc__.splitlines()[0])
    events = 300 if asked.quick else 20_000
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _emulator() as endpoint:
        lab = Lab(Path(folder), endpoint)
        hops, results, goals = _over_s3(lab, events, kills=(3.0,) if asked.quick else (3.0, 6.0, 12.0, 24.0))
        more, again = _over_kinesis(lab, events, hops["S3"])
    for hop, count in hops.items():
        print(f"  {hop:<56}{count:>10,}")
    tell("end_to_end", results + more, goals + again, asked.json)
    if not all(goal.met for goal in goals + again):
        sys.exit(1)


def _over_s3(lab: Lab, events: int, kills: Sequence[float]) -> tuple[dict[str, int], list[Result], list[Goal]]:
    import pyarrow.parquet as pq

    with lab.function() as address:
        sent = lab.told("events", "send", "--to", address, *_plan(events))
    stored = lab.told("events", "count", "--bucket", BUCKET)
    began = time.perf_counter()
    died = sum(lab.killed(seconds) for seconds in kills)
    lab.command()
    took = time.perf_counter() - began
    bronze, silver, beats, steps = lab.command("bronze", "psql", "--", "-AtF", " ", "-c", _HELD).split()
    data = Path(lab.env["DATA_DIR"])
    made = pq.read_table(data / "processed/normalized/s3_events.parquet", columns=["metric", "raw_id"]).to_pylist()
    told = ["hr_samples", "steps", "bp_readings"]
    days = pq.read_table(data / "processed/merged/merged_daily_metrics.parquet", columns=told).to_pydict()
    hops = {
        "sent: different good events": sent["events"],
        "S3": stored["events"],
        "bronze": int(bronze),
        "silver": int(silver),
        "readings": len(made),
    }
    beats_told, steps_told, pressures = (round(sum(day or 0 for day in days[name]), 3) for name in told)
    halves = [{row["raw_id"] for row in made if row["metric"] == half} for half in ("systolic", "diastolic")]
    whole = len(halves[0] & halves[1])  # the other half of some was broken on its way
    results = [
        Result("messages sent, with broken ones and repeats", "events send", sent["sent"], "messages"),
        Result("rows in S3, redeliveries among them", "Lambda zip", stored["rows"], "rows"),
        Result("runs killed on the way", "main.py", died, "kills"),
        Result("from S3 to the daily table, kills included", "main.py", took, "s"),
    ]
    goals = [Goal(f"{hop} = {sent['events']:,}", "equal", f"{count:,}", count == sent["events"]) for hop, count in hops.items()]
    goals += [
        Goal(
            "broken pieces sent and kept aside", f"{sent['bad']:,}", f"{stored['rejected']:,}", sent["bad"] == stored["rejected"]
        ),
        Goal("heart-rate events = samples in the daily table", beats, f"{beats_told:g}", float(beats) == beats_told),
        Goal(
            "steps of all events = steps in the daily table", f"{float(steps):g}", f"{steps_told:g}", float(steps) == steps_told
        ),
        Goal("pressures of two halves = those in the daily table", f"{whole:,}", f"{pressures:,.0f}", whole == pressures),
    ]
    return hops, results, goals


def _over_kinesis(lab: Lab, events: int, wanted: int) -> tuple[list[Result], list[Goal]]:
    """The same events by a second transport: silver has no row more, and says so."""
    lab.env["KINESIS_STREAM"] = STREAM
    lab.command("events", "send", "--to", f"kinesis:{STREAM}", *_plan(events))
    began = time.perf_counter()
    run = lab.told()
    took = time.perf_counter() - began
    silver = lab.told("bronze", "status")["silver"]
    tables = {table["source"]: table["rows"] for table in lab.told("bronze", "status")["tables"]}
    nothing = {node["action"] for node in lab.told()["nodes"] if not node["node"].startswith("ingestion.kinesis.")}
    goals = [
        Goal(
            "the same events over Kinesis: rows of bronze", f"{wanted:,}", f"{tables['kinesis']:,}", tables["kinesis"] == wanted
        ),
        Goal("silver with both transports", f"{wanted:,}", f"{silver['rows']:,}", silver["rows"] == wanted),
        Goal("a run more: all other nodes are skipped", "skipped", ", ".join(sorted(nothing)), nothing == {"skipped"}),
    ]
    return [Result("the same over Kinesis", "main.py", took, "s")], [*goals, _all_ran(run)]


def _all_ran(run: Any) -> Goal:
    failed = [node["node"] for node in run["nodes"] if node["action"] in {"failed", "blocked"}]
    return Goal("nodes that failed", "0", str(len(failed)), not failed)


def _plan(events: int) -> list[str]:
    shares = ["--disorder", "0.1", "--duplicates", "0.1", "--late", "0.05", "--bad", "0.03"]
    return ["--events", str(events), "--users", "1", "--days", str(max(3, events // 500)), *shares]


@contextmanager
def _emulator() -> Iterator[str]:
    """moto's S3 and Kinesis in this process, with a bucket and a stream of two shards; gives the address."""
    try:
        import boto3
        from moto.server import ThreadedMotoServer
    except ImportError:
        sys.exit("  missing: moto and boto3; install the dev requirements")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "something", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket=BUCKET)
    boto3.client("kinesis", endpoint_url=endpoint, **keys).create_stream(StreamName=STREAM, ShardCount=2)
    try:
        yield endpoint
    finally:
        server.stop()


def _address(served: subprocess.Popen[Any], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and served.poll() is None:
        if found := re.search(r"http://\S+", log.read_text()):
            return found[0]
        time.sleep(0.05)
    sys.exit(f"  events run-lambda did not start: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    main()
