"""The features room's command: `features`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.console import Console, JsonOption, WorkspaceOption
from features.errors import UsageError

if TYPE_CHECKING:
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
    adoption: Annotated[
        bool,
        typer.Option("--adoption", help="Show who uses each feature, as counted last, and build nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the usage features of every account at every quarter's close, and count who uses them."""
    from features.adoption_record import is_current, write_adoption
    from features.catalogue import catalogue, described
    from features.document import read_data
    from features.intake import open_log
    from features.kept import read_kept
    from features.matrix import build_matrix, up_to_date
    from features.workspace import Workspace

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    data = read_data(place.framework)
    if listed and adoption:
        raise UsageError("--list and --adoption show different things: give one of them")
    if adoption:
        _show_adoption(console, place, data)
        return
    done = None if listed or anew else up_to_date(place, data)
    if done is not None:
        if not is_current(place, done):
            write_adoption(place, data, done)
        console.say(
            f"{place.features / 'matrix.parquet'} is up to date: no input has changed since it was built"
        )
        console.result(done)
        return
    log = open_log(data, place.root, kept=None if listed or anew else read_kept(place, data))
    if listed:
        rows = described(catalogue(data, has_users=log.has_users, has_seats=log.has_seats))
        console.table(rows, ("name", "description", "unit", "category", "when_nothing"))
        console.result({"features": rows})
        return
    log.write_quarantine(place.quarantine)
    with console.progress("features") as progress:
        manifest = build_matrix(log, data, place.root, place, progress)
        progress("counting who uses them", 1.0)
        write_adoption(place, data, manifest)
    console.say(
        f"{len(manifest['features'])} features of {manifest['n_observations']:,} observations"
        f" ({manifest['n_accounts']:,} accounts, {manifest['n_events']:,} events) in {place.features / 'matrix.parquet'}"
    )
    console.say(
        f"Who uses them: {place.features / 'adoption.png'}, and milestones features --adoption -w {workspace}"
    )
    console.result(manifest)


def _show_adoption(console: Console, place: "Workspace", data: "Data") -> None:
    from features.adoption_record import COLUMNS, heading, listing, read_adoption

    found = read_adoption(place, data)
    for line in heading(found):
        console.say(line)
    console.table(listing(found), COLUMNS)
    console.result(found)
