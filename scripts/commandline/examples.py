"""What the manual says beyond options: a paragraph where one helps, and lines to type. Tests parse every line."""

from __future__ import annotations

DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "": (
        (
            "Runs what has to run, and nothing else: a step runs if its data, the code it can reach, the settings it declares or the "
            "libraries it uses have changed. Stages: ingestion, normalization, validation, merge, bronze, silver, gold."
        ),
        (
            "Whatever lies in the inbox is read, and every source whose settings are complete. With nothing to read, the shipped "
            "examples are. A run that is killed leaves the old state or the new one, whole; the next run finishes it."
        ),
    ),
    "doctor": (
        (
            "Looks, and changes nothing; with --fix it takes away what others may do with your files. Settings that are wrong keep no "
            "other area from being examined. Each remark: ✓ as it should be, · worth knowing, ! may hurt one day, ✗ a problem."
        ),
        (
            "A configured database, the live sources and the remote state are asked; in the remote state a trial object is created, "
            "changed and deleted. --offline asks nobody."
        ),
    ),
    "mock": (
        (
            "Writes DIR/inbox and DIR/settings.yaml: a data directory of its own, so invented and real data never meet. The same "
            "arguments give the same bytes. No row is taken or derived from real data."
        ),
    ),
    "completion": (
        "Prints a script for the shell. It completes pdp, and python main.py through an alias: alias pdp='python /where/it/is/main.py'.",
    ),
    "state with": (
        (
            "Pulls the remote state into a private folder, in memory where there is room, runs the command with DATA_DIR set to it, and "
            "removes the folder. Nothing is pushed unless --push is given."
        ),
    ),
}
"""Command, or command and action → paragraphs."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("", "run what has to run"),
        ("mi_fitness", "look at this source only"),
        ("--dry-run", "what would run, and why"),
        ('--schedule "17 */6 * * *" --sync', "stay, and run every six hours over the remote state"),
        ("--stateless", "one run that leaves nothing on this disk"),
        ("--clean --dry-run", "what --clean would remove"),
    ),
    "plan": (("plan", "what a run would do"), ("plan --start-stage merge", "the later stages only")),
    "explain": (("explain normalization.mi_fitness", "down to the function, with a diff of its source"),),
    "status": (("status", "every step: rows, versions, age, failures"),),
    "graph": (("graph", "as text"), ("graph --format html --out graph.html", "as a page to look at")),
    "lineage": (("lineage processed/merged/merged_daily_metrics.csv --up", "what the daily table was made from"),),
    "diff": (("diff processed/merged/merged_daily_metrics.csv v1 v2", "rows and cells that differ, without their values"),),
    "trace": (("trace 2025-10-02 systolic", "readings, raw records, file and bronze row behind the number"),),
    "query": (
        ("query", "tables and columns"),
        ('query "SELECT month, systolic FROM monthly" --csv', "an answer as CSV"),
    ),
    "gold": (("gold --from-bronze", "make the gold tables again from Postgres, and compare"),),
    "history": (("history merge.daily_metrics", "every attempt at one step"),),
    "runs": (("runs --last 5", "the last five"), ("runs last", "the last one's steps, slowest first")),
    "report": (("report --out run.html", "the last run as one page"),),
    "openlineage": (("openlineage --out lineage.ndjson", "append the last run's events to a file"),),
    "verify": (("verify", "every byte against the registry, every bronze row against the ledger"),),
    "accept": (('accept merge.daily_metrics --reason "only a log line"', "its outputs stand as they are"),),
    "gc": (("gc --keep 3 --dry-run", "what superseded versions take"),),
    "source list": (("source list", "which there are"),),
    "source check": (("source check google_sheets", "whether it can be read"),),
    "source discover": (("source discover demo_api", "its lists and their fields"),),
    "source preview": (
        ("source preview mi_fitness export.zip", "what an export holds, what is not read of it, what has changed"),
        ("source preview demo_api", "what an API's first pages would give"),
    ),
    "source add": (
        ("source add heart --url https://api.example/v1/heart --auth bearer:HEART_TOKEN", "a new API, its token in HEART_TOKEN"),
    ),
    "source state": (
        ("source state show demo_api", "where each of its streams goes on"),
        ("source state reset demo_api posts", "fetch one of them from the beginning"),
    ),
    "bronze init": (("bronze init --sql", "what an administrator runs to make the roles"),),
    "bronze status": (("bronze status", "tables, rows, freshness, quality"),),
    "bronze reconcile": (("bronze reconcile --repair", "load what is missing"),),
    "bronze retain": (("bronze retain --before 2020-01-01", "which months would go"),),
    "bronze psql": (('bronze psql -- -c "SELECT count(*) FROM bronze_bp_csv"', "one statement"),),
    "bronze backup": (("bronze backup bronze.dump", "the whole database in one file"),),
    "bronze restore": (("bronze restore bronze.dump", "bring it back"),),
    "bronze upgrade": (("bronze upgrade", "to the installed version of PostgreSQL"),),
    "cdc create": (("cdc create", "before the first run, and after CDC_TABLES has changed"),),
    "cdc drop": (("cdc drop", "when the source is no longer read"),),
    "cdc status": (("cdc status", "how much log is kept for us"),),
    "dlq list": (("dlq list", "what was refused, and why"),),
    "dlq show": (("dlq show 7", "all that is known of one, without its bytes"),),
    "dlq replay": (("dlq replay mi_fitness", "try again after a fix"),),
    "dlq ignore": (('dlq ignore 7 --reason "a test entry"', "set it aside"),),
    "serve": (("serve dashboard", "on http://127.0.0.1:8501"), ("serve api --port 8000", "on http://127.0.0.1:8000")),
    "password": (("password", "asks twice, prints the hash"),),
    "alerts": (("alerts", "what is not as it should be"), ("alerts test", "try every channel")),
    "doctor": (
        ("doctor", "look at everything"),
        ("doctor permissions --fix", "take away what others may do with your files"),
        ("doctor --offline --json", "ask nobody, answer in JSON"),
    ),
    "mock": (("mock", "a year, below mock/"), ("mock --out try --days 30 --seed 11", "another person's month")),
    "events send": (
        ("events send --to events.ndjson --bad 0.02 --seed 11", "a thousand events in a file, twenty of them broken"),
    ),
    "events build-lambda": (("events build-lambda --out build/events.zip", "what infra/terraform deploys"),),
    "events run-lambda": (
        ("events run-lambda --bucket my-events --port 8800", "events by POST, stored in the bucket"),
        ("events run-lambda --bucket my-events --kinesis my-stream --until-idle", "a stream read to its end"),
    ),
    "events count": (("events count --bucket my-events", "how many events there are, and rejected pieces"),),
    "completion": (
        ("completion bash", "> ~/.local/share/bash-completion/completions/pdp"),
        ("completion zsh", "> a file _pdp in a folder of $fpath"),
        ("completion fish", "> ~/.config/fish/completions/pdp.fish"),
    ),
    "help": (("help bronze backup", "the page of an action"), ("help --roff", "> pdp.1, for man")),
    "erase": (
        ("erase --source bp_csv", "what would go"),
        ("erase --before 2020-01-01 --yes", "what was measured before that day goes"),
    ),
    "backup": (("backup pdp.backup", "everything, sealed with STATE_KEY"),),
    "restore": (("restore pdp.backup", "bring it back to an empty data directory"),),
    "audit": (("audit --last 10", "the ten newest lines"),),
    "export": (
        ("export --out mine.zip", "everything, in every format"),
        ("export --format fhir --metric blood_pressure --from 2025-01-01 --out doctor", "for a doctor's system"),
    ),
    "state pull": (
        ("state pull", "the registry now, files when they are needed"),
        ("state pull 'processed/merged/*'", "and the daily table at once"),
    ),
    "state push": (("state push", "what is here becomes the next generation"),),
    "state show": (("state show", "what the remote holds, and how this machine stands to it"),),
    "state verify": (("state verify", "read every object a kept generation needs"),),
    "state gc": (("state gc", "what would go"), ("state gc --keep 3 --apply", "it goes")),
    "state rotate": (("state rotate --to-file new.key", "seal everything with a new key"),),
    "state unlock": (("state unlock", "end the lease of a job that died"),),
    "state with": (("state with -- trace 2025-10-02 systolic", "ask the remote state a question"),),
}
"""Command, or command and action → (what follows `python main.py`, what it does)."""
