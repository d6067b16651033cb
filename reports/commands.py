"""The reports room's commands: `review`, `chain`, `demo`, `scoreboard` and the group `framework`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.console import Console, JsonOption, WorkspaceOption
from features.instants import KnownAtOption
from reports import framework_commands

if TYPE_CHECKING:
    from features.workspace import Workspace


def mount(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("review")(review)
    app.command("chain")(chain)
    app.command("demo")(demo)
    app.command("scoreboard")(scoreboard)
    app.add_typer(framework_commands.group, name="framework")


def review(
    quarter: Annotated[
        str, typer.Argument(help="A closed quarter such as 2024Q3, `latest`, or `all`.")
    ] = "latest",
    workspace: WorkspaceOption = Path(),
    known_at: KnownAtOption = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of everything random; what was frozen keeps its own.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write the framework review of a quarter: what each milestone still predicts, as known at its close.

    With --known-at it is replayed as known then, in a folder of its own.
    """
    from features.workspace import Workspace
    from reports.publication import publish, replay

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    with console.progress("review") as progress:
        if known_at is None:
            every = publish(place, quarter, seed, progress)
        else:
            every = [replay(place, quarter, known_at, seed, progress)]
    made = [item for item in every if "left_out" not in item]
    _say_reviews(console, place, every, made)
    console.result({"reviews": every})


def _say_reviews(
    console: Console, place: "Workspace", every: list[dict[str, Any]], made: list[dict[str, Any]]
) -> None:
    """What became of each review that was asked for; the newest in words."""
    for item in every:
        if "left_out" in item:
            console.warn(f"left out: {item['left_out']}")
    if not every:
        console.say("Insufficient data: no quarter of the log has closed yet, so there is nothing to review.")
    for item in made[-1:]:
        console.say(f"{item['quarter']}: {item['headline']}")
        for note in item["notes"]:
            console.say(note)
    for item in made:
        if n := item["restated"]["accounts"]:
            moved = len(item["restated"]["moved"])
            console.say(
                f"restated: {item['quarter']}, {n:,} accounts have other rows; headline numbers moved: {moved}"
            )
    for item in made[-1:]:
        console.say(f"report: {item['report']}")
    if len(made) > 1:
        console.say(
            f"{len(made)} reviews, {made[0]['quarter']} to {made[-1]['quarter']}, in {place.output / 'reviews'}"
        )


def chain(workspace: WorkspaceOption = Path(), as_json: JsonOption = False) -> None:
    """Work the chain backwards: what each milestone, step and product area goes with, also weighted by revenue."""
    from features.workspace import Workspace
    from reports.chain import (
        categories_table,
        chain_table,
        closing_words,
        effect_rows,
        steps_table,
        work_backwards,
    )

    console = Console(as_json)
    place = Workspace(workspace.resolve())
    with console.progress("chain") as progress:
        found = work_backwards(place, progress)
    tables = {
        "Effects in points, from retention backwards": chain_table(effect_rows(found)),
        "Steps, one by one": steps_table(found),
        "Product areas at the newest close": categories_table(found),
    }
    for title, rows in tables.items():
        if rows:
            console.say(f"{title}:")
            console.table(rows, list(rows[0]))
            console.say()
    for line in [
        *closing_words(found),
        f"Everything with its intervals is in {place.chain}, the picture beside it.",
    ]:
        console.say(line)
    console.result(found)


def demo(
    workspace: Annotated[
        Path, typer.Argument(help="The folder; what an earlier demo left there is replaced.")
    ] = Path("build/demo"),
    accounts: Annotated[int, typer.Option(min=200, help="How many accounts sign up.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the company.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """All of it on a simulated company: check, features, train, sweep, review."""
    from reports.demonstration import run_demo

    run_demo(workspace.resolve(), accounts, seed, Console(as_json))


def scoreboard(
    seeds: Annotated[int, typer.Option(min=1, help="How many companies of each kind.")] = 20,
    start: Annotated[int, typer.Option(min=0, help="The first seed; the others follow it.")] = 0,
    bars: Annotated[str | None, typer.Option(help="Only the bars with these numbers, such as 1,3,8.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file too: .md for a page, .json for the figures.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure on simulated companies how often the platform finds what was planted, and nothing where nothing was."""
    from reports import scoreboard as board

    console = Console(as_json)
    chosen = board.chosen_bars(bars)
    if out is not None:
        board.require_writable(out)
    with console.progress("scoreboard") as progress:
        made = board.run_scoreboard(chosen, range(start, start + seeds), progress)
    console.table(board.rows(made), board.COLUMNS)
    if made.table:
        console.say()
        lines = board.table_rows(made)
        console.table(lines, list(lines[0]))
    console.say()
    console.say(f"{made.summary}.")
    if made.failed:
        console.say(board.advice(made))
    if out is not None:
        board.write_scoreboard(made, out)
        console.say(f"written to {out}")
    console.result(board.as_dict(made))
    if made.failed:
        raise typer.Exit(1)
