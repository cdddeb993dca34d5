"""`mock`: an invented person's exports as a data directory of their own, and the command that runs the pipeline over it."""

from __future__ import annotations

from argparse import Namespace
from shlex import quote

from config.errors import UsageError
from scripts.answer import Answer
from scripts.generate_mock_data import generate
from scripts.mock.demo_settings import MARK, write_settings
from scripts.words import counted, sized


def mock(options: Namespace) -> Answer:
    """Write `--out`/inbox and `--out`/settings.yaml. UsageError for arguments or a folder that cannot be used."""
    settings = options.out / "settings.yaml"
    try:
        if settings.exists() and not settings.read_text(encoding="utf-8").startswith(MARK):
            raise UsageError("There are settings of yours in this folder.", "Name another folder with --out.")
        made = generate(
            options.out / "inbox",
            days=options.days,
            end=options.end,
            seed=options.seed,
            timezone=options.timezone,
            hr_minutes=options.hr_minutes,
        )
        write_settings(settings, made.plan)
    except (ValueError, FileExistsError) as error:
        text = str(error).rstrip(".")
        raise UsageError(f"{text[0].upper()}{text[1:]}.", "See: python main.py help mock") from None
    except OSError as error:
        raise UsageError(f"The folder cannot be written: {error.strerror}.", "Name another one with --out.") from None
    where = {"DATA_DIR": options.out.resolve(), "PDP_SETTINGS": settings.resolve()}
    command = " ".join([*(f"{name}={quote(str(path))}" for name, path in where.items()), "python main.py"])
    files = [{"path": str(f.path), "source": f.source, "rows": f.rows, "bytes": f.size} for f in made.files]
    first, last = (day.isoformat() for day in made.plan.whole)
    lines = [f"  {f.source:<15}{f.rows:>9,} rows {sized(f.size):>9}  {f.path.name}" for f in made.files]
    head = f"{counted(made.rows, 'row')} of an invented person, {first} to {last}, below {options.out}:"
    data = {"files": files, "rows": made.rows, "first": first, "last": last, "settings": str(settings), "command": command}
    return Answer(data, "\n".join([head, *lines, "", f"Now: {command}"]))
