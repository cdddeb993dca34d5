"""The two ways of the state, for commands and for whatever runs jobs: `pull` before, `push` after."""

from scripts.state.pull import Pulled, pull
from scripts.state.push import Pushed, push

__all__ = ["Pulled", "Pushed", "pull", "push"]
