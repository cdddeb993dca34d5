"""What a stage's result depends on besides its key is told by file, line and name; what is pure, excused or out of reach is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.code.closure import Closure
from pipeline.code.names import Finder, Module
from pipeline.code.source_index import SourceIndex, index_source
from pipeline.files import Files
from pipeline.identity import Identities
from pipeline.node import Node
from tests.engine_bench import REPO, Project


def told(root: Path, files: dict[str, str]) -> list[str]:
    """What is told of a stage in a project of these files, without the advice."""
    write(root, files)

    def index(module: Module) -> SourceIndex:
        return index_source(Path(module.path or "").read_bytes(), module.name, module.is_package, module.name)

    code = Closure(Finder([str(root)], ["numpy", "pandas", "requests"]), index, str, str(root)).walk(["stage:run"])
    return sorted(text.partition(";")[0] for _, text in code.impure)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def stage(work: str, imports: str = "") -> dict[str, str]:
    return {"stage.py": f"{imports}\ndef run(inputs, outputs, settings):\n    return {work}\n"}


IMPURE = {
    "the clock": ("datetime.now()", "from datetime import datetime", "datetime.datetime.now reads the clock"),
    "the clock by its module": ("datetime.datetime.now()", "import datetime", "datetime.datetime.now reads the clock"),
    "the clock by an alias": ("d.datetime.utcnow()", "import datetime as d", "datetime.datetime.utcnow reads the clock"),
    "today": ("date.today()", "from datetime import date", "datetime.date.today reads the clock"),
    "seconds": ("t()", "from time import time as t", "time.time reads the clock"),
    "the clock of pandas": ("pd.Timestamp.now()", "import pandas as pd", "pandas.Timestamp.now reads the clock"),
    "a function as a value": ("list(map(time.time_ns, []))", "import time", "time.time_ns reads the clock"),
    "a name that is text": ('getattr(time, "time")()', "import time", "time.time reads the clock"),
    "chance": ("random.random()", "import random", "random.random is left to chance"),
    "a module as a value": ("[random]", "import random", "random is left to chance"),
    "an identifier": ("str(uuid.uuid4())", "import uuid", "uuid.uuid4 is left to chance"),
    "secrets": ("token_hex()", "from secrets import token_hex", "secrets.token_hex is left to chance"),
    "numpy's chance": ("np.random.default_rng()", "import numpy as np", "numpy.random.default_rng is left to chance"),
    "numpy's chance imported": ("normal()", "from numpy.random import normal", "numpy.random.normal is left to chance"),
    "the system's chance": ("os.urandom(1)", "import os", "os.urandom is left to chance"),
    "the environment": ('os.environ["X"]', "import os", "os.environ reads the environment"),
    "a method of the environment": ('os.environ.get("X")', "import os", "os.environ.get reads the environment"),
    "a variable": ('getenv("X")', "from os import getenv", "os.getenv reads the environment"),
    "the host's zone": ("time.localtime()", "import time", "time.localtime reads the environment"),
    "the host's language": ("locale.getlocale()", "import locale", "locale.getlocale reads the environment"),
    "the home": ("Path.home()", "from pathlib import Path", "pathlib.Path.home reads the environment"),
    "the network": ('requests.get("x")', "import requests", "requests.get uses the network"),
    "a socket": ("socket.socket()", "import socket", "socket.socket uses the network"),
    "a page": ('urlopen("x")', "from urllib.request import urlopen", "urllib.request.urlopen uses the network"),
    "a host": ('http.client.HTTPConnection("x")', "import http.client", "http.client.HTTPConnection uses the network"),
}


@pytest.mark.parametrize(("work", "imports", "said"), [pytest.param(*v, id=k) for k, v in IMPURE.items()])
def test_what_is_impure_is_told_with_its_place(tmp_path: Path, work: str, imports: str, said: str) -> None:
    assert told(tmp_path, stage(work, imports)) == [f"stage.py:3: {said}"]


PURE = {
    "measuring time": ("monotonic() + perf_counter()", "from time import monotonic, perf_counter"),
    "waiting": ("time.sleep(0)", "import time"),
    "a given moment": ("datetime.fromtimestamp(0, UTC).date()", "from datetime import UTC, datetime"),
    "a seeded generator": ("random.Random(1).random()", "import random"),
    "a name of a given space": ("uuid.uuid5(uuid.NAMESPACE_URL, 'x'), uuid.UUID(int=1)", "import uuid"),
    "paths": ('os.path.join("a", os.sep)', "import os"),
    "a page's address": ("urlsplit('x')", "from urllib.parse import urlsplit"),
    "a local of the same name": ("[time.time for time in [settings]], [datetime for datetime in [1]]", "import time, datetime"),
    "an import nobody uses": ("1", "import random, socket, requests"),
    "an attribute of something else": ("inputs.random(), settings.environ, outputs.time.time()", ""),
    "comparing secrets": ("compare_digest('a', 'b')", "from secrets import compare_digest"),
}


@pytest.mark.parametrize(("work", "imports"), [pytest.param(*v, id=k) for k, v in PURE.items()])
def test_what_is_pure_is_not_told(tmp_path: Path, work: str, imports: str) -> None:
    assert told(tmp_path, stage(work, imports)) == []


def test_a_type_or_an_error_that_is_only_named_is_not_told(tmp_path: Path) -> None:
    text = (
        "import requests, socket\n"
        "def run(inputs, outputs, settings) -> socket.socket:\n"
        "    x: requests.Session = None\n"
        "    try:\n        return x\n    except (socket.gaierror, requests.RequestException):\n        return None\n"
    )
    assert told(tmp_path, {"stage.py": text}) == []


def test_it_is_found_wherever_the_closure_goes(tmp_path: Path) -> None:
    files = {
        "stage.py": "from pkg import work\nfrom pkg.made import Thing\ndef run(inputs, outputs, settings):\n    return work(), Thing\n",
        "pkg/__init__.py": "from pkg.deep import *\n",
        "pkg/deep.py": "from pkg.clock import now\ndef work():\n    return now()\n",
        "pkg/clock.py": "import time\nnow = time.time\n",
        "pkg/made.py": "from dataclasses import dataclass, field\nimport uuid\n"
        "@dataclass\nclass Thing:\n    id: str = field(default_factory=uuid.uuid4)\n",
        "pkg/unused.py": "import time\ndef late():\n    return time.time()\n",
    }
    assert told(tmp_path, files) == ["pkg/clock.py:2: time.time reads the clock", "pkg/made.py:5: uuid.uuid4 is left to chance"]


def test_what_only_another_function_does_is_not_told(tmp_path: Path) -> None:
    text = "import time\ndef other():\n    return time.time()\ndef run(inputs, outputs, settings):\n    return 1\n"
    assert told(tmp_path, {"stage.py": text}) == []


def test_an_import_inside_the_function_is_followed(tmp_path: Path) -> None:
    text = "def run(inputs, outputs, settings):\n    from datetime import datetime\n    return 1, datetime.now()\n"
    assert told(tmp_path, {"stage.py": text}) == ["stage.py:3: datetime.datetime.now reads the clock"]


def test_a_line_that_says_why_is_excused_and_no_other_is(tmp_path: Path) -> None:
    text = (
        "import time\n"
        "def run(inputs, outputs, settings):\n"
        "    a = time.time()  # impure: only for the log\n"
        "    b = time.time()\n"
        "    c = time.time()  # impure:\n"
        "    d = time.time(), '# impure: no comment'\n"
        "    return a, b, c, d\n"
    )
    assert told(tmp_path, {"stage.py": text}) == [f"stage.py:{n}: time.time reads the clock" for n in (4, 5, 6)]


@pytest.mark.parametrize("declared", [{"remote": "stage:run"}, {"sink": "stage:run"}, {"secrets": ("token",)}])
def test_network_and_environment_are_the_business_of_a_node_that_declares_them(tmp_path: Path, declared: dict[str, Any]) -> None:
    files = stage("requests.get(os.environ['X']), random.random(), time.time()", "import os, random, requests, time")
    write(tmp_path, files)
    identities = Identities(None, Files(None, str(tmp_path)), str(tmp_path), {})
    assert [w.partition(";")[0] for w in identities.of(Node("n", "s", "stage:run", **declared)).warnings] == [
        "stage.py:3: random.random is left to chance",
        "stage.py:3: time.time reads the clock",
    ]


def test_the_warning_is_kept_with_the_identity_and_goes_with_its_cause(tmp_path: Path) -> None:
    made = Project(tmp_path)
    text = (
        "import time\ndef run(inputs, outputs, settings):\n"
        "    with outputs.open('out') as out:\n        out.write(b'x' * (time.time() > 0))\n"
    )
    made.write({"in.txt": "1", "data/in.txt": "1", "stage.py": text})
    said = "stage.py:4: time.time reads the clock; hand it in as a setting, or say why it may: `# impure: …`"
    assert [(row[1], row[5]) for row in made.call()] == [("ran", [said])]
    assert [(row[1], row[5]) for row in made.call()] == [("skipped", [said])]
    made.write({"stage.py": text.replace("> 0))", "> 0))  # impure: always true")})
    assert [(row[1], row[5]) for row in made.call()] == [("skipped", [])]


def test_every_stage_is_pure_or_says_why(tmp_path: Path) -> None:
    from config.sources import SOURCES
    from pipeline.nodes import nodes

    for live in ([], [s for s in SOURCES if SOURCES[s].live]):
        dag = nodes(SOURCES, live)
        settings = dict.fromkeys({name for node in dag for name in node.settings})
        identities = Identities(None, Files(None, str(tmp_path)), str(REPO), settings)
        assert {w for node in dag for w in identities.of(node).warnings} == set()
