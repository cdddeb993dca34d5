"""The engine: a DAG of nodes whose outputs are versioned artifacts, run only when something they depend on has changed.

    from pipeline import Node, Pipeline
    result = Pipeline([Node("count", "demo", "mymodule:count", files={"text": "in.txt"}, outputs={"n": "n.txt"})], "data").run()

It knows artifacts, nodes and hashes; nothing of health, pandas, Google or Postgres. Here: what a node is, whether it has to run, the
commit, the registry. `code/` reads the source a node can reach, `execution/` runs one node, wherever that is, `answers/` tells people what
was asked of the registry, `upkeep/` removes what can be made again.
"""

from pipeline.node import Node
from pipeline.pipeline import Pipeline
from pipeline.selection import Selection

__all__ = ["Node", "Pipeline", "Selection"]
