"""A launch: one run as a data scientist asked for it, resolved against the workspace's framework."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from features.errors import UsageError
from features.faults import meant
from features.intake import open_log
from features.log import Log
from features.matrix import Matrix, build_frame, read_matrix
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import Workspace
from models.estimators import DEFAULT_ESTIMATOR
from models.framework import Framework, load_framework
from models.overrides import override


@dataclass(frozen=True)
class Variation:
    """The options of `train` and `sweep`. Anything but seed, name and note makes the run exploratory."""

    outcome: str | None = None
    segment: str | None = None
    features: str | None = None
    within: str | None = None
    estimator: str = DEFAULT_ESTIMATOR
    settings: tuple[str, ...] = ()
    seed: int = 0
    name: str | None = None
    note: str | None = None

    @property
    def exploratory(self) -> bool:
        """Whether the run looks at something else than the framework says: it then touches no later command."""
        return (
            bool(self.outcome or self.segment or self.features or self.within or self.settings)
            or self.estimator != DEFAULT_ESTIMATOR
        )

    def matching(self, names: Sequence[str], kind: str) -> list[str]:
        """The names that match one of the comma-separated patterns of --features.

        Raises UsageError where none does; `kind` says in its message what the names are.
        """
        patterns = [p.strip() for p in (self.features or "").split(",") if p.strip()]
        chosen = [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
        if not chosen:
            raise UsageError(
                f"--features {self.features}: matches none of the {len(names)} {kind}, such as {', '.join(names[:4])}"
            )
        return chosen

    def described(self) -> dict[str, str]:
        """The overrides as run parameters."""
        given = {
            "outcome": self.outcome,
            "segment": self.segment,
            "features": self.features,
            "within": self.within,
        }
        found = {f"override.{key}": value for key, value in given.items() if value}
        for pair in self.settings:
            key, _, value = pair.partition("=")
            found[f"override.set.{key}"] = value
        return found


@dataclass(frozen=True)
class Launch:
    """A variation with the framework it resolves to."""

    workspace: Workspace
    framework: Framework
    variation: Variation

    @classmethod
    def of(cls, workspace: Workspace, variation: Variation) -> "Launch":
        """Resolve the options. Raises UsageError or DataError where they make no sense."""
        if variation.settings or variation.outcome:
            framework = override(workspace.framework, list(variation.settings), variation.outcome)
        else:
            framework = load_framework(workspace.framework)
        return cls(workspace, framework, variation)

    def folder(self, own: Path, *exploratory: str) -> Path:
        """Where the run writes: `own`, which later commands read; an exploratory run never writes there.

        It gets a folder of the run's name, within the workspace whatever that holds; `exploratory` are the command,
        for a run without a name, and folders within.
        """
        if not self.variation.exploratory:
            return own
        command, *within = exploratory
        name = re.sub(r"[^\w.-]+", "-", self.variation.name or command).strip("-.")[:60]
        return self.workspace.output.joinpath("exploratory", name or command, *within)

    def log(self) -> Log:
        """The tables, opened."""
        return open_log(self.framework.data, self.workspace.root)

    def require(self, *names: str) -> None:
        """Raises UsageError for a name that no milestone of the framework bears."""
        milestones = self.framework.milestones
        for name in names:
            if name not in milestones:
                raise UsageError(
                    f"there is no milestone {name!r}{meant(name, milestones)}; the framework has"
                    f" {', '.join(milestones) or 'none'}"
                )

    def tags(self) -> dict[str, Any]:
        """What every run says of where it comes from."""
        return {
            "framework.version": self.framework.version,
            "framework.hash": self.framework.hash,
            "framework.proposed": self.framework.proposed,
            "code_version": code_version(),
            "seed": self.variation.seed,
            "exploratory": self.variation.exploratory,
        }

    def matrix(self, progress: ProgressCallback) -> Matrix:
        """The matrix on disk if it answers this framework's data half; else one in memory for this run alone."""
        data = self.framework.data
        if self.variation.settings or self.variation.outcome:
            return build_frame(self.log(), data, self.workspace.root, progress)
        return read_matrix(self.workspace, data, as_known_then=self.variation.exploratory)

    def chosen_features(self, names: Sequence[str]) -> list[str]:
        """The features that match the comma-separated patterns, all where none is given."""
        return self.variation.matching(names, "features") if self.variation.features else list(names)

    def in_segment(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the segment `column=value`, all where none is given."""
        if not self.variation.segment:
            return frame
        match = re.fullmatch(r"([^=]+)=(.*)", self.variation.segment)
        columns = ["plan"] if "plan" in frame else []
        columns += [c for c in self.framework.data.fixed_at_signup if c in frame]
        if not columns:
            raise UsageError(
                f"--segment {self.variation.segment}: nothing tells segments apart: subscriptions name no plan, and"
                " data.fixed_at_signup lists no column of accounts"
            )
        if not match or match[1] not in columns:
            raise UsageError(
                f"--segment {self.variation.segment}: write column=value with one of: {', '.join(columns)}"
                " (the plan in force, and accounts columns listed under data.fixed_at_signup)"
            )
        chosen = frame[frame[match[1]].astype("string") == match[2]]
        if chosen.empty:
            values = sorted(frame[match[1]].dropna().astype("string").unique())[:8]
            raise UsageError(
                f"--segment {self.variation.segment}: no observation; {match[1]} is one of {', '.join(values)}"
            )
        return chosen.reset_index(drop=True)
