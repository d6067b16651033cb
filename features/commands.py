"""The features room's command: `features`."""

from pathlib import Path

import typer

from features.console import Console, JsonOption, WorkspaceOption


def mount(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("features")(features)


def features(workspace: WorkspaceOption = Path(), as_json: JsonOption = False) -> None:
    """Build the usage features of every account at every quarter's close."""
    from features.document import read_data
    from features.intake import open_log
    from features.matrix import build_matrix
    from features.workspace import Workspace

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    data = read_data(place.framework)
    log = open_log(data, place.root)
    log.write_quarantine(place.quarantine)
    with console.progress("features") as progress:
        manifest = build_matrix(log, data, place.root, place, progress)
    console.say(
        f"{len(manifest['features'])} features of {manifest['n_observations']:,} observations"
        f" ({manifest['n_accounts']:,} accounts, {manifest['n_events']:,} events) in {place.features / 'matrix.parquet'}"
    )
    console.result(manifest)
