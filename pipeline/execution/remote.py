"""A process for nodes on a cluster's machine: born for one run, it answers one call after another and goes when none comes.

A Dask worker lives long; this does not outlive the run that began it by more than a breath, so no edit can linger in it.
"""

from __future__ import annotations

import os
import pickle
import select

from pipeline.execution.executors import begin_worker

IDLE_SECONDS = 10
"""Long enough for the next node; the starter takes it up again only well before."""


def main(parent: int) -> None:
    """Answer pickled calls `(function, arguments)`, each with its length before it, by pickled results. Dies with the process `parent`."""
    begin_worker(parent)
    calls, answers = open(os.dup(0), "rb"), open(os.dup(1), "wb")  # noqa: SIM115 - as long as the process
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a stage prints is no answer
    while select.select([calls], [], [], IDLE_SECONDS)[0] and (size := calls.read(8)):
        function, arguments = pickle.loads(calls.read(int.from_bytes(size)))  # noqa: S301 - from our own coordinator
        answer = pickle.dumps(function(*arguments))
        answers.write(len(answer).to_bytes(8) + answer)
        answers.flush()
