"""Terraform as a person runs it, on a copy of `infra/terraform`, with providers from a folder and a cloud on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
from hcl2 import SerializationOptions

REPO = Path(__file__).resolve().parent.parent
TERRAFORM = REPO / "infra/terraform"
TERRAGRUNT = REPO / "infra/terragrunt"
PROVIDER = "registry.terraform.io/hashicorp/aws"


def hcl(path: Path) -> dict[str, Any]:
    """A file of HCL: its blocks as lists, strings without their quotes."""
    with path.open() as file:
        found: dict[str, Any] = hcl2.load(
            file, serialization_options=SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)
        )
    return found


def blocks(folder: Path, kind: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every block of one kind in a folder's files: its labels and what it says."""
    labels = {"resource": 2, "data": 2, "variable": 1, "output": 1, "module": 1}[kind]
    for path in sorted(folder.glob("*.tf")):
        for block in hcl(path).get(kind, []):
            names: tuple[str, ...] = ()
            for _ in range(labels):
                ((name, block),) = block.items()
                names = (*names, name)
            yield names, block


def providers() -> Path | None:
    """A filesystem mirror with the AWS provider: where PDP_TERRAFORM_PLUGINS says, where terraform itself looks, or in a system folder."""
    data = [os.environ.get("XDG_DATA_HOME") or "~/.local/share"]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    folders = [Path("~/.terraform.d/plugins"), *(Path(place) / "terraform/plugins" for place in data)]
    for name in ("PDP_TERRAFORM_PLUGINS", "TF_PLUGIN_CACHE_DIR"):
        if name in os.environ:
            folders.insert(0, Path(os.environ[name]))
    for system in ("/opt", "/usr/lib", "/usr/local/lib", "/var/lib"):
        folders += sorted(place.parent for place in Path(system).glob("*/registry.terraform.io"))
    pinned = f"{PROVIDER}/{hcl(TERRAFORM / 'versions.tf')['terraform'][0]['required_providers'][0]['aws']['version']}"
    return next((folder for place in folders if any((folder := place.expanduser()).glob(f"{pinned}*"))), None)


class Workspace:
    """A copy of the configuration in a folder of its own, with its own state."""

    def __init__(self, folder: Path, environment: str, variables: Mapping[str, str]) -> None:
        self.folder = folder / environment
        shutil.copytree(TERRAFORM, self.folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        self.env = {
            **kept,
            "CHECKPOINT_DISABLE": "1",
            "TF_INPUT": "0",
            **{f"TF_VAR_{name}": value for name, value in variables.items()},
        }
        self._file = f"-var-file=environments/{environment}.tfvars"

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        """`terraform COMMAND`, begun; what needs the environment's variables gets them."""
        given = [self._file] if command in {"plan", "apply", "destroy"} else []
        return subprocess.Popen(
            ["terraform", command, "-no-color", *given, *options],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, *options: str) -> tuple[int, str]:
        """`terraform COMMAND`, to its end: exit code and all it said."""
        return finished(self.start(command, *options))


def finished(process: subprocess.Popen[str], limit: float = 600.0) -> tuple[int, str]:
    """Exit code and all it said; stopped after `limit` seconds."""
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return process.returncode, said
