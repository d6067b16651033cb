"""The documents say what the program does: examples load, commands and options exist, links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from features.document import parse_yaml
from features.extra_feature import ExtraFeature
from milestones import app
from models.framework import Framework
from tests import features_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_framework_of_the_reference_is_valid() -> None:
    text = (ROOT / "docs" / "framework.md").read_text()
    example, with_states = map(parse_yaml, re.findall(r"```yaml\n(.*?)```", text, re.S)[:2])
    framework = Framework.model_validate(example)
    assert list(framework.milestones) == ["activation", "utilization", "maturity"]
    both = Framework.model_validate(
        {**example, "milestones": example["milestones"] | with_states["milestones"]}
    )
    assert len(both.milestones["setup"].rule.state_tests) == 2
    assert len(both.milestones["maturity"].rule.state_tests) == 4


def test_the_page_of_features_is_what_the_catalogue_says() -> None:
    written = (ROOT / "docs" / "features.md").read_text()
    assert written == features_page.page(), "run `make docs`"
    assert written.count("\n| `") >= 60


def test_the_extras_of_the_page_of_features_are_valid() -> None:
    example = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "features.md").read_text(), re.S)[0]
    for extra in parse_yaml(example)["extras"]:
        assert ExtraFeature.model_validate(extra).name == extra["name"]


def commands_in(page: Path) -> list[list[str]]:
    lines = re.findall(r"^(?:\.venv/bin/)?milestones ([^\n#|]+)", page.read_text(), re.M)
    return [shlex.split(line) for line in lines]


def command_of(name: str, arguments: list[str]) -> Any:
    """The command, or the one of a group that the first argument names."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return command.commands[arguments[0]] if hasattr(command, "commands") else command


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_and_option_in_the_documents_exists(page: Path) -> None:
    for name, *arguments in commands_in(page):
        command = command_of(name, arguments)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {a.partition("=")[0] for a in arguments if a.startswith("-")} <= known, (page.name, name)


def test_every_command_takes_json() -> None:
    group = typer.main.get_command(app)
    commands = dict(group.commands)  # type: ignore[attr-defined]
    commands |= commands.pop("framework").commands
    without = {n for n, c in commands.items() if not any("--json" in p.opts for p in c.params)}
    assert not without


def test_the_readme_names_every_command_of_the_main_job() -> None:
    named = {name for name, *_ in commands_in(ROOT / "README.md")}
    assert named >= {
        "init",
        "check",
        "features",
        "train",
        "sweep",
        "review",
        "ui",
        "status",
        "adopt",
        "framework",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_short_and_complete() -> None:
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = page.read_text()
        assert len(text.splitlines()) <= 30, page.name
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Cost")), page.name


def test_mlproject_has_an_entry_point_for_every_command_of_the_main_job() -> None:
    entries = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert set(entries) == {*typer.main.get_command(app).commands, "main"}  # type: ignore[attr-defined]
    for entry in entries.values():
        name, *arguments = shlex.split(entry["command"])[1:]
        command = command_of(name, arguments)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {a for a in arguments if a.startswith("-")} <= known
