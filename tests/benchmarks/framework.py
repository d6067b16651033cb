"""A framework of four milestones over the benchmark's events: what `status` is measured on."""

from models.framework import Framework
from tests.benchmarks.log import EVENT_NAMES, declared


def four_milestones() -> Framework:
    """Setup of seven steps, activation, utilization, and maturity in five categories of three events."""
    names = list(EVENT_NAMES)
    areas = {f"area {i}": {"events": names[12 + 3 * i : 15 + 3 * i], "mature": 5} for i in range(5)}
    rules = {
        "setup": ("once", {"steps": names[:7], "window_days": 30, "at_least": 3}),
        "activation": ("once", {"events": names[:2], "window_days": 90, "at_least": 20}),
        "utilization": ("state", {"events": names[2:4], "window_days": 30, "at_least": 4}),
        "maturity": ("state", {"categories": areas, "window_days": 90, "at_least": 3}),
    }
    milestones = {name: {"kind": kind, "rule": rule} for name, (kind, rule) in rules.items()}
    document = {"schema": 1, "name": "benchmark", "version": 1, "data": declared().model_dump()}
    return Framework.model_validate({**document, "milestones": milestones})
