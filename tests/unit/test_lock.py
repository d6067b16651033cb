"""The check of the lock finds what it is there to find."""

import pytest

from tests.lock_is_current import faults, main

PYPROJECT = """
[project]
dependencies = ["Some_Package>=2,<3"]
[dependency-groups]
dev = ["tool"]
"""
DEV = [("dependency-groups", "dev")]
GOOD = "some-package==2.1 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n    # via milestones\ntool==1.0 \\\n    --hash=sha256:11\n"


def test_a_lock_that_answers_has_no_fault() -> None:
    assert faults(PYPROJECT, GOOD, DEV) == []
    assert main() == 0


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (GOOD.replace("2.1", "3.0"), "does not satisfy"),
        (GOOD.replace("tool==", "other=="), "tool is missing"),
        (GOOD.replace("--hash=sha256:11", "# none"), "tool has no hash"),
        (GOOD + "--index-url https://example.com\n", "address of an index"),
    ],
)
def test_a_fault_is_found(lock: str, fault: str) -> None:
    assert any(fault in found for found in faults(PYPROJECT, lock, DEV))
