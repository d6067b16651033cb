"""Which code made a result."""

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def code_version() -> str:
    """The package's version, and the commit where the code is a git checkout (with + where it was edited)."""
    try:
        version = metadata.version("milestones")
    except metadata.PackageNotFoundError:
        version = "0"
    folder = Path(__file__).resolve().parent.parent
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=9", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}-{described}"
