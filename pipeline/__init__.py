"""The engine: a DAG of nodes whose outputs are versioned artifacts, run only when something they depend on has changed.

    from pipeline import Node, Pipeline
    result = Pipeline([Node("count", "demo", "mymodule:count", files={"text": "in.txt"}, outputs={"n": "n.txt"})], "data").run()

It knows artifacts, nodes and hashes; nothing of health, pandas, Google or Postgres.
"""

from pipeline.node import Node
from pipeline.pipeline import Pipeline
from pipeline.selection import Selection

__all__ = ["Node", "Pipeline", "Selection"]
