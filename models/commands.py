"""The models room's commands: `init`, `check`, `status` and `simulate`, which make or read a framework."""

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.console import Console, JsonOption, WorkspaceOption
from features.errors import UsageError

if TYPE_CHECKING:
    from features.declaration import Calendar
    from features.log import Log
    from models.framework import Framework

Source = Annotated[
    str | None, typer.Option(help="Parquet or CSV (file, folder, glob), or file.duckdb::table.")
]


def mount(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("init")(init)
    app.command("simulate")(simulate)
    app.command("check")(check)
    app.command("status")(status)


def init(
    workspace: Annotated[Path, typer.Argument(help="The folder to make.")],
    events: Annotated[
        str, typer.Option(help="The event log: Parquet or CSV (file, folder, glob), or file.duckdb::table.")
    ],
    accounts: Annotated[str, typer.Option(help="One row per account, with when it signed up.")],
    subscriptions: Source = None,
    states: Source = None,
    outcomes: Source = None,
    eligibility: Source = None,
    column: Annotated[
        list[str] | None, typer.Option("--map", help="table.column=name, where a guess is wrong.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="The zone in which times without an offset were written.")
    ] = "UTC",
    time_format: Annotated[
        list[str] | None,
        typer.Option(help="How times are written where they are not ISO, such as '%d/%m/%Y %H:%M'."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="What counts events in files: duckdb, or a Spark master such as spark://host:7077."
        ),
    ] = "duckdb",
    name: Annotated[str | None, typer.Option(help="The product's name; by default the folder's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn at random.")] = 0,
    force: Annotated[bool, typer.Option(help="Overwrite a framework.yaml that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at the tables, map their columns, profile the events, and propose a framework that runs."""
    from features.declaration import Sources
    from features.validators import known_engine
    from features.workspace import Workspace, write_text
    from models.framework import load_framework
    from models.initiation import Request, initiate

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    if place.framework.exists() and not force:
        raise UsageError(
            f"{place.framework} is there already: choose another folder, or --force to overwrite it"
        )
    calendar = _calendar(timezone, time_format or [])
    given = {
        "events": events, "accounts": accounts, "subscriptions": subscriptions, "states": states,
        "outcomes": outcomes, "eligibility": eligibility,
    }  # fmt: skip
    sources = Sources.model_validate({t: _from(place.root, s) for t, s in given.items() if s is not None})
    try:
        known_engine(engine)
    except ValueError as error:
        raise UsageError(f"--engine {engine} {error}") from error
    asked = Request(sources, calendar, engine, tuple(column or ()), name or place.root.name, seed)
    with console.progress("init") as progress:
        made = initiate(asked, place.root, progress)
    write_text(place.framework, made.text)
    framework = load_framework(place.framework)
    for line in made.said:
        console.say(line)
    console.say(f"Wrote {place.framework} ({framework.hash}). Next: milestones check -w {workspace}")
    console.result({"framework": str(place.framework), "hash": framework.hash, "said": made.said})


def _calendar(timezone: str, time_formats: list[str]) -> "Calendar":
    from features.declaration import Calendar
    from features.validators import known_time_format, known_zone

    try:
        option = "--timezone"
        known_zone(timezone)
        option = "--time-format"
        formats = tuple(map(known_time_format, time_formats))
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error
    return Calendar(timezone=timezone, time_formats=formats)


def _from(root: Path, source: str) -> str:
    """A source as the framework names it: relative to its folder, so that both can move together."""
    from features.validators import named_source

    try:
        named_source(source)
    except ValueError as error:
        raise UsageError(f"a source: {error}") from error
    if "://" in source:
        return source
    path, separator, table = source.partition("::")
    return os.path.relpath(Path(path).absolute(), root) + separator + table


def check(
    workspace: WorkspaceOption = Path(),
    leaks: Annotated[
        bool, typer.Option("--leaks", help="Look for future information in the features, and nothing else.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="With --leaks: exit with 1 where it raises an alarm.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="With --leaks: seed of the accounts it draws.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check the framework and every table: what is used, set aside or left out, and why."""
    if leaks:
        _check_leaks(workspace, strict, seed, Console(as_json))
        return
    if strict:
        raise UsageError("--strict is about alarms of the leak audit: give it with --leaks")
    from features.errors import DataError
    from features.intake import open_log
    from features.workspace import Workspace
    from models.framework import load_framework
    from models.success import metric_specs
    from models.versions import edited, unknown_in_hypotheses

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    framework = load_framework(place.framework)
    with console.progress("check") as progress:
        progress("reading the tables", 0.1)
        log = open_log(framework.data, place.root)
        progress("writing what was set aside", 0.8)
        log.write_quarantine(place.quarantine)
        duplicates = log.duplicates()
        unknown = unknown_in_hypotheses(framework, log)  # and refuses what no feature can be made of
        metric_specs(framework, log)  # refuses what `chain` would
        progress("counting steps and seats", 0.9)
        warnings = [*_warnings(framework, log, duplicates), *edited(place, framework)]
    for line in log.books():
        console.say(line)
    if unknown:
        raise DataError("\n".join([f"{place.framework} cannot be used:", *unknown]))
    for line in warnings:
        console.warn(f"warning: {line}")
    status = "PROPOSED: " if framework.proposed else "adopted: "
    console.say(
        f"framework {framework.name} version {framework.version} ({framework.hash}),"
        f" {status + ', '.join(framework.milestones) if framework.milestones else 'no milestone'}"
    )
    console.result(
        {**_check_result(framework.hash, log), "duplicates": {"events": duplicates}, "warnings": warnings}
    )


def _check_leaks(workspace: Path, strict: bool, seed: int, console: Console) -> None:
    """Run the leak audit, say what it found and write it to output/leaks.json."""
    import json

    from features.errors import DataError
    from features.intake import open_log
    from features.workspace import Workspace, write_text
    from models.framework import load_framework
    from models.leak_audit import as_dict, audit

    place = Workspace(workspace.resolve())
    framework = load_framework(place.framework)
    with console.progress("leaks") as progress:
        progress("reading the tables", 0.0)
        checked = audit(framework, open_log(framework.data, place.root), place.root, seed, progress)
    made = as_dict(framework, seed, checked)
    write_text(place.leaks, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    for one in checked:
        console.say(f"{one.check}: {_alarms(len(one.alarms))} ({one.looked_at})")
    for finding in sorted((f for one in checked for f in one.findings), key=lambda f: f.severity):
        console.say(f"{finding.severity} ({finding.kind}): {finding.sentence}")
    n = made["n_alarms"]
    console.say(f"{_alarms(n)}; everything with its evidence is in {place.leaks}")
    console.result(made)
    if strict and n:
        raise DataError(f"{_alarms(n)} of the leak audit: see {place.leaks}")


def _alarms(n: int) -> str:
    return f"{n} {'alarm' if n == 1 else 'alarms'}" if n else "no alarm"


def _warnings(framework: "Framework", log: "Log", duplicates: int) -> list[str]:
    """What does not stop anything, and yet is seldom meant."""
    from features.doubts import doubts
    from models.doubts import counted_doubts, rule_doubts

    said = []
    if duplicates:
        said.append(
            f"events: {duplicates:,} of {log.n_events:,} used rows are exact duplicates of another and count as given;"
            " data.events.deduplicate: true counts each once"
        )
    said += doubts(log, framework.data)
    asked = framework.milestones, log, framework.data
    return [*said, *chain.from_iterable(rule_doubts(*asked).values()), *counted_doubts(*asked)]


def _check_result(framework_hash: str, log: "Log") -> dict[str, Any]:
    return {
        "framework_hash": framework_hash,
        "read": log.read,
        "quarantined": log.quarantined,
        "excluded": log.excluded,
        "withheld": log.withheld,
        "data_from": log.data_from.isoformat(),
        "data_through": log.data_through.isoformat(),
        "notes": list(log.notes),
    }


def status(
    workspace: WorkspaceOption = Path(),
    version: Annotated[
        str | None,
        typer.Option(
            "--framework", help="A version by its number, or a framework file; the one in force without it."
        ),
    ] = None,
    quarter: Annotated[str | None, typer.Option(help="Show this closed quarter alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say where every account stands at every quarter's close, by any version of the framework."""
    from features.workspace import Workspace
    from models.status_record import COLUMNS, shown, write_status
    from models.versions import load_version, open_for

    console, place = Console(as_json), Workspace(workspace.resolve())
    chosen = load_version(place, version)
    with console.progress("status") as progress:
        progress("reading the tables", 0.0)
        made = write_status(chosen.framework, open_for(place, chosen), place.status, quarter, progress)
    console.say(f"{chosen.framework.name}, {chosen.words}: accounts that are customers at each close")
    console.table(shown(made["counts"]), COLUMNS)
    console.say(f"every account at every close is in {place.status}")
    console.result({**made, "file": str(place.status)})


def simulate(
    workspace: Annotated[Path, typer.Argument(help="The folder to make.")],
    scenario: Annotated[
        str, typer.Option(help="Which company: a name from docs/simulator.md, or the path of a YAML file.")
    ] = "default",
    accounts: Annotated[int | None, typer.Option(min=50, help="How many accounts sign up.")] = None,
    quarters: Annotated[
        int | None, typer.Option(min=4, max=40, help="How many quarters the log lasts.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the company.")] = 0,
    force: Annotated[bool, typer.Option(help="Overwrite a framework.yaml that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a company whose truth is known: its tables, truth.json and a framework."""
    from models.demonstration import make_company

    console = Console(as_json)
    with console.progress("simulate") as progress:
        made = make_company(workspace.resolve(), scenario, accounts, quarters, seed, progress, force=force)
    console.say(
        f"{made['accounts']:,} accounts and {made['events']:,} events in {workspace / 'data'};"
        f" what was planted is in {workspace / 'data' / 'truth.json'}"
    )
    console.result(made)
