"""Several sessions at work at once: when one fails none goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from warehouse.bronze.connection import Connection

_T = TypeVar("_T")


def together(tasks: Sequence[Callable[[], None]], sessions: Sequence[Connection]) -> None:
    """Run the tasks at once, one per session; when one fails the others' statements are cancelled and its error is raised."""
    if len(tasks) == 1:
        return tasks[0]()
    with ThreadPoolExecutor(len(tasks)) as pool:
        running = [pool.submit(task) for task in tasks]
        with cancelled_on_error(sessions):
            for task in as_completed(running):
                task.result()
    return None


@contextmanager
def cancelled_on_error(sessions: Sequence[Connection]) -> Iterator[None]:
    """Whatever goes wrong inside, no session goes on working."""
    try:
        yield
    except BaseException:
        for session in sessions:
            session.cancel()
        raise


def ahead(items: Iterator[_T], depth: int = 2) -> Generator[_T]:
    """The same items, made by a thread of their own while the caller is busy with the one before; at most `depth` wait."""
    made: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    unwanted = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if unwanted.is_set():
                    return
                made.put((True, item))
            made.put((False, None))
        except BaseException as error:  # noqa: BLE001 - raised where the items are taken
            made.put((False, error))

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while True:
            more, item = made.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        unwanted.set()
        while maker.is_alive():  # it may wait for room
            with suppress(queue.Empty):
                made.get(timeout=0.05)
        maker.join()
