"""Figures of runs."""
from typing import Any


def of_model(record: dict[str, Any]) -> dict[str, Any]:
    """None yet."""
    return {}
