"""The leak audit: every check in one tuple, run on one workspace's own data."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from features.log import Log
from features.progress import ProgressCallback
from models.attribute_leaks import attributes
from models.doubts import require_states
from models.feature_leaks import events_before_losses, single_features
from models.framework import Framework
from models.future_leaks import period_stamps, planting, windows
from models.late_leaks import late_records
from models.leaks import Checked, Material, gather

SCHEMA_VERSION = 1
Check = Callable[[Material], Checked]
CHECKS: tuple[Check, ...] = (
    windows,
    planting,
    period_stamps,
    late_records,
    attributes,
    events_before_losses,
    single_features,
)


def audit(
    framework: Framework,
    log: Log,
    folder: Path,
    seed: int,
    progress: ProgressCallback,
    checks: Sequence[Check] = CHECKS,
) -> tuple[Checked, ...]:
    """Run the checks; `folder` is what relative sources start from, `seed` draws accounts.

    Raises DataError where a source cannot be read.
    """
    require_states(framework.milestones, log, framework.data)
    progress("observing the accounts", 0.1)
    material = gather(framework, log, folder, np.random.default_rng(seed), progress)
    found = []
    for i, check in enumerate(checks):
        progress(check.__name__.replace("_", " "), 0.3 + 0.7 * i / len(checks))
        found.append(check(material))
    return tuple(found)


def as_dict(framework: Framework, seed: int, checked: Sequence[Checked]) -> dict[str, Any]:
    """What leaks.json holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "framework_hash": framework.hash,
        "seed": seed,
        "n_alarms": sum(len(one.alarms) for one in checked),
        "checks": [asdict(one) for one in checked],
    }
