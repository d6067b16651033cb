"""`framework show`, `framework diff` and `framework card`: what a framework says, for people."""

from pathlib import Path
from typing import Annotated

import typer

from features.console import Console, JsonOption, WorkspaceOption

group = typer.Typer(
    help="What the framework says: show a version, compare two, or print it on a card.", no_args_is_help=True
)
Wanted = Annotated[
    str | None,
    typer.Argument(help="A version by its number, or a framework file; the one in force without it."),
]


@group.command("show")
def show(version: Wanted = None, workspace: WorkspaceOption = Path(), as_json: JsonOption = False) -> None:
    """Say what a version says: each milestone's meaning, rule, outcome, owner, and what was expected of it."""
    from features.workspace import Workspace
    from models.versions import load_version
    from reports.description import described, lines

    console, place = Console(as_json), Workspace(workspace.resolve())
    facts = described(load_version(place, version))
    for line in lines(facts):
        console.say(line)
    console.result(facts)


@group.command("diff")
def diff(
    a: Annotated[str, typer.Argument(help="A version by its number, or a framework file.")],
    b: Annotated[str, typer.Argument(help="The version to compare it with.")],
    workspace: WorkspaceOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Say what changed from one version to another, and which accounts it moves, in counts."""
    from features.workspace import Workspace
    from models.versions import load_version, require_distinct
    from reports.comparison import ALL, COLUMNS, changes, moved

    console, place = Console(as_json), Workspace(workspace.resolve())
    one, other = load_version(place, a), load_version(place, b)
    require_distinct([one, other])
    said = changes(one, other)
    console.say(f"a: {one.words}, b: {other.words}")
    for line in said or ["they say the same"]:
        console.say(line)
    with console.progress("diff") as progress:
        rows = moved(place, one, other, progress)
    console.say(f"accounts at the newest close, and account-quarters over {ALL}:")
    console.table(rows, COLUMNS)
    versions = {key: {"version": v.number, "hash": v.framework.hash} for key, v in (("a", one), ("b", other))}
    console.result({**versions, "changes": said, "moved": rows})


@group.command("card")
def card(version: Wanted = None, workspace: WorkspaceOption = Path(), as_json: JsonOption = False) -> None:
    """Write the framework on one page for everybody, without statistics: output/card.html."""
    from features.workspace import Workspace, write_text
    from models.status_record import count_status
    from models.versions import load_version, open_for
    from reports.card import newest_chain, newest_review, render_card

    console, place = Console(as_json), Workspace(workspace.resolve())
    chosen = load_version(place, version)
    with console.progress("card") as progress:
        counts = count_status(chosen.framework, open_for(place, chosen), progress)
    write_text(place.card, render_card(chosen, counts, newest_review(place), newest_chain(place)))
    console.say(f"{chosen.framework.name}, {chosen.words}: {place.card}")
    console.result({"version": chosen.number, "hash": chosen.framework.hash, "card": str(place.card)})
