"""The features room's command: `features`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.console import Console, JsonOption, WorkspaceOption
from features.errors import UsageError
from features.instants import KnownAtOption, instant_of

if TYPE_CHECKING:
    import pandas as pd

    from features.declaration import Data
    from features.workspace import Workspace


def mount(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("features")(features)


def features(
    workspace: WorkspaceOption = Path(),
    listed: Annotated[
        bool, typer.Option("--list", help="Show every feature with its meaning, and build nothing.")
    ] = False,
    anew: Annotated[bool, typer.Option(help="Count everything again, whatever earlier builds kept.")] = False,
    known_at: KnownAtOption = None,
    adoption: Annotated[
        bool,
        typer.Option("--adoption", help="Show who uses each feature, as counted last, and build nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the usage features of every account at every quarter's close, and count who uses them."""
    from features.document import read_data
    from features.workspace import Workspace

    if listed and adoption:
        raise UsageError("--list and --adoption show different things: give one of them")
    console, place = Console(as_json), Workspace(workspace.resolve())
    data = read_data(place.framework)
    instant = None if known_at is None else instant_of(known_at, data.calendar.timezone)
    if adoption:
        _show_adoption(console, place, data)
    elif listed:
        _show_catalogue(console, place, data, instant)
    elif anew or not _was_up_to_date(console, place, data, instant):
        _build(console, place, data, instant, anew=anew)


def _was_up_to_date(
    console: Console, place: "Workspace", data: "Data", instant: "pd.Timestamp | None"
) -> bool:
    from features.adoption_record import is_current, write_adoption
    from features.matrix import up_to_date

    done = up_to_date(place, data, instant)
    if done is None:
        return False
    if not is_current(place, done):
        write_adoption(place, data, done)
    for warning in done["warnings"]:
        console.warn(f"warning: {warning}")
    console.say(f"{place.features / 'matrix.parquet'} is up to date: no input has changed since it was built")
    console.result(done)
    return True


def _build(
    console: Console, place: "Workspace", data: "Data", instant: "pd.Timestamp | None", *, anew: bool
) -> None:
    from features.adoption_record import write_adoption
    from features.fingerprints import of_inputs
    from features.intake import open_increment, open_log
    from features.kept import Shelf
    from features.matrix import build_matrix

    shelf, inputs = Shelf.of(place, data), of_inputs(data, place.root)
    with shelf.held() as alone:
        if alone and instant is None:
            log, counting = open_increment(data, place.root, shelf, anew=anew)
        else:  # what was known at an instant is no part of what is known now, and is not kept
            log, counting = open_log(data, place.root, known_at=instant), None
        log.write_quarantine(place.quarantine)
        with console.progress("features") as progress:
            manifest = build_matrix(log, data, place, inputs, progress, counting)
            progress("counting who uses them", 1.0)
            write_adoption(place, data, manifest)
    for warning in manifest["warnings"]:
        console.warn(f"warning: {warning}")
    if counting is not None:
        console.say(counting.sentence)
    when = "" if log.known_at is None else f"As known at {log.known_at}: "
    console.say(
        f"{when}{len(manifest['features'])} features of {manifest['n_observations']:,} observations"
        f" ({manifest['n_accounts']:,} accounts, {manifest['n_events']:,} events) in {place.features / 'matrix.parquet'}"
    )
    for note in () if log.known_at is None else log.notes:
        console.say(note)
    console.say(
        f"Who uses them: {place.features / 'adoption.png'}, and milestones features --adoption -w {place.root}"
    )
    files = None if counting is None else counting.files
    console.result({**manifest, "files": files})


def _show_catalogue(
    console: Console, place: "Workspace", data: "Data", instant: "pd.Timestamp | None"
) -> None:
    from features.catalogue import catalogue_of, described
    from features.intake import open_log

    rows = described(catalogue_of(open_log(data, place.root, known_at=instant), data))
    console.table(rows, ("name", "description", "unit", "category", "when_nothing"))
    console.result({"features": rows})


def _show_adoption(console: Console, place: "Workspace", data: "Data") -> None:
    from features.adoption_record import COLUMNS, heading, listing, read_adoption

    found = read_adoption(place, data)
    for line in heading(found):
        console.say(line)
    console.table(listing(found), COLUMNS)
    console.result(found)
