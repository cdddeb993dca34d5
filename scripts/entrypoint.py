"""What entrypoint.sh asks: `python -m scripts.entrypoint remote` and `… sources`. The exit code is the answer; 2: it cannot be told."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from config.errors import PDPError, UsageError
from scripts.project import open_project

_NONE = 3


def main(argv: Sequence[str]) -> int:
    """`remote`: 0 if the settings name a remote state, 3 if not. `sources`: 0 if a run has anything of a person to read, else 2, told."""
    try:
        project = open_project()
        if argv == ["remote"]:
            settings = project.settings.whole()
            return 0 if settings.state_url or settings.google_drive_state_folder_id else _NONE
        if argv == ["sources"]:
            if project.examples:
                raise UsageError(
                    "No source has anything to read, and the examples do not belong into a remote state.",
                    "Connect a source or fill the inbox: docs/connect.md",
                )
            return 0
        raise UsageError("entrypoint.sh asks for remote or for sources.", "Example: python -m scripts.entrypoint remote")
    except PDPError as error:
        print(f"{error.what}\n{error.mend}".strip(), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
