"""framework.yaml as `init` writes it: validated values, with comments for the person who edits it next."""

from typing import Any

import yaml

from features.declaration import Data
from models.framework import Framework
from models.milestones import Milestone


def framework_text(framework: Framework, notes: dict[str, list[str]]) -> str:
    """The whole file. `notes` are comment lines by section (data, outcomes, events, milestones)."""
    data = framework.data
    parts: list[str] = [
        "# The customer milestones framework of this product. Every command reads this file; edit it freely.",
        "# Its meaning has a hash (comments and order do not count); raise `version` when you change a milestone.",
        _section({"schema": 1, "name": framework.name, "version": framework.version}),
        _comments(notes.get("data", []), 0),
        "data:",
        _section(_dump(data, "sources", "mapping", "calendar", "exclusions", "fixed_at_signup"), 2),
        "  # Adjusted effects compare accounts alike in these, as they were before a milestone's window began.",
        _section({"adjust_for": list(data.adjust_for)}, 2),
        _comments(notes.get("events", []), 2),
        _section({"events": data.events.model_dump(mode="json")}, 2),
        _comments(notes.get("outcomes", []), 2),
        _section({"outcomes": data.outcomes.model_dump(mode="json")}, 2),
        "  # Windows in days, half-open [t - w, t). `events` get features of their own.",
        _section({"features": data.features.model_dump(mode="json")}, 2),
        "",
        _comments(notes.get("milestones", []), 0),
        "milestones:" + ("" if framework.milestones else " {}"),
        *(_milestone(name, milestone) for name, milestone in framework.milestones.items()),
        "",
        "# Left out because the data cannot support them; the review says so.",
        _section({"not_defined": dict(framework.not_defined)}),
        "# A review closes a quarter and is due settling_lag_days later; adoption_band is where a cut is useful.",
        _section({"review": framework.review.model_dump(mode="json")}),
    ]
    return "\n".join(parts) + "\n"


class _Dumper(yaml.SafeDumper):
    """Mappings one key a line, lists within one line: what people expect of a configuration file."""


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)

# YAML takes these for line feeds unless they are escaped, which double quotes do.
_LINE_BREAKS = frozenset("\x85\u2028\u2029")
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _LINE_BREAKS & set(text) else None
    ),
)


def heading(milestone: Milestone) -> str:
    """The comment above a milestone: where it stands, and its rule in words."""
    status = (
        "PROPOSED: nobody has adopted it yet" if milestone.proposed else f"adopted {milestone.adopted_at}"
    )
    return f"  # {status}\n  # {_plain(milestone.rule.words)}"


def _milestone(name: str, milestone: Milestone) -> str:
    return f"\n{heading(milestone)}\n" + _section(
        {name: milestone.model_dump(mode="json", exclude_none=True)}, 2
    )


def _dump(data: Data, *keys: str) -> dict[str, Any]:
    content = data.model_dump(mode="json", exclude_none=True)
    return {key: content[key] for key in keys}


def _section(content: dict[str, Any], indent: int = 0) -> str:
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(" " * indent + line if line else line for line in text.rstrip("\n").split("\n"))


def _comments(lines: list[str], indent: int) -> str:
    return "\n".join(" " * indent + "# " + _plain(line) for line in lines)


def _plain(text: str) -> str:
    """One line that YAML takes in a comment, whatever is in the name of an event."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
