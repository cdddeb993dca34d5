"""Actions of `events`: send, build-lambda, run-lambda, count."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from config.errors import UsageError
from scripts.answer import Answer
from scripts.event_stream.aws import explained
from scripts.words import counted


def events(options: Namespace) -> Answer:
    """Run the action."""
    if options.action == "build-lambda":
        return _build(options)
    if options.action in {"run-lambda", "count"} and not options.bucket:
        raise UsageError("No bucket is named.", "Write --bucket NAME, or set EVENTS_BUCKET.")
    with explained():
        if options.action == "send":
            from scripts.event_stream.send import send

            return send(options)
        return _count(options) if options.action == "count" else _run(options)


def _build(options: Namespace) -> Answer:
    from scripts.event_stream.package import HANDLER, build

    try:
        digest = build(options.out)
    except OSError as error:
        raise UsageError(f"The zip cannot be written: {error.strerror}.", "Name another file with --out.") from None
    size = options.out.stat().st_size
    text = f"{options.out}: {size:,} bytes, sha256 {digest}\nHandler: {HANDLER}"
    return Answer({"path": str(options.out), "bytes": size, "sha256": digest, "handler": HANDLER}, text)


def _count(options: Namespace) -> Answer:
    from scripts.event_stream.tally import tally

    found = tally(options.bucket)
    lines = [
        f"  {found['events']:>9,} different events in {counted(found['objects'], 'object')}, {found['rows']:,} rows",
        f"  {found['rejected']:>9,} different rejected pieces",
        *(f"  {count:>13,} {reason}" for reason, count in found["reasons"].items()),
    ]
    return Answer(found, "\n".join([f"Bucket {options.bucket}:", *lines]))


def _run(options: Namespace) -> Answer:
    """Serve and poll until a signal, or until the stream has been read to its end."""
    from pipeline.signals import interruptible
    from scripts.event_stream.function import Function
    from scripts.event_stream.package import build

    if options.port is None and not options.kinesis:
        raise UsageError("There is nothing to listen to.", "Write --port N, --kinesis STREAM or both.")
    if not options.kinesis and (options.until_idle or options.redrive):
        raise UsageError("Only a stream can be read to its end, and only its records are given again.", "Add --kinesis STREAM.")
    with ExitStack() as stack:
        archive = options.zip
        if archive is None:
            archive = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pdp-lambda-"))) / "lambda.zip"
            build(archive)
        elif not archive.is_file():
            raise UsageError("There is no such zip.", "Make it: python main.py events build-lambda --out build/events.zip")
        function = stack.enter_context(Function(archive, {"EVENTS_BUCKET": options.bucket}, options.timeout))
        stack.enter_context(interruptible())
        counts: dict[str, Any] = {}
        try:
            _listen(options, function, stack, counts)
        except KeyboardInterrupt:
            print("Stopped. What was acknowledged is stored.", file=sys.stderr)
        counts = {"invocations": function.invocations, "failures": function.failures, **counts}
    return Answer(counts, ", ".join(f"{count:,} {name}" for name, count in counts.items()), 1 if counts.get("dead") else 0)


def _listen(options: Namespace, function: Any, stack: ExitStack, counts: dict[str, Any]) -> None:
    from scripts.event_stream.checkpoints import held
    from scripts.event_stream.gateway import gateway
    from scripts.event_stream.poller import Poller

    if options.kinesis:
        stack.enter_context(held(options.state))
        poller = Poller(function, options.kinesis, options.state, batch=options.batch, retries=options.retries)
    if options.port is not None:
        try:
            address = stack.enter_context(gateway(function, options.port, options.payload))
        except (OSError, OverflowError):
            raise UsageError(
                f"Port {options.port} cannot be served on.", "Name another one with --port; 0 takes a free one."
            ) from None
        print(f"Events by POST: {address}", file=sys.stderr, flush=True)
    if not options.kinesis:
        while True:
            time.sleep(3600)
    try:
        if options.redrive:
            poller.redrive()
        poller.run(until_idle=options.until_idle)
    finally:
        counts.update({name: poller.counts[name] for name in ("records", "batches", "dead", "given")})
        counts["waiting"] = poller.waiting
