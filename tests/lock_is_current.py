"""Fail when requirements.lock does not answer pyproject.toml any more, or names the address of an index."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = [
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
]


def main() -> int:
    """Resolve again, starting from the lock itself, and compare; 0 when nothing moved."""
    lock = ROOT / "requirements.lock"
    if re.search(r"https?://|--index-url|--find-links", lock.read_text()):
        sys.stderr.write("requirements.lock names the address of an index: run make lock\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "requirements.lock"
        shutil.copy(lock, again)  # existing pins are kept unless pyproject.toml forbids them
        uv = Path(sys.executable).parent / "uv"
        command = [str(uv), *COMPILE, "--group", "dev", "pyproject.toml", "-o", str(again)]
        subprocess.run(command, cwd=ROOT, check=True)
        if again.read_text() != lock.read_text():
            sys.stderr.write("requirements.lock is behind pyproject.toml: run make lock\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
