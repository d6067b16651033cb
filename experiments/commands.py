"""The experiments room's commands: `train`, `sweep`, `tune`, `adopt` and `ui`."""

from pathlib import Path
from typing import Annotated

import typer

from features.console import Console, JsonOption, WorkspaceOption

Outcome = Annotated[
    str | None, typer.Option(help="Another outcome, as kind or kind:days, such as silent:60.")
]
Segment = Annotated[
    str | None, typer.Option(help="Only the observations where column=value, such as plan=pro.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Name = Annotated[str | None, typer.Option(help="The run's name in MLflow.")]
Note = Annotated[str | None, typer.Option(help="A sentence to start the run's note with.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value over the framework, for this run.")
]


def mount(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("train")(train)
    app.command("sweep")(sweep)
    app.command("tune")(tune)
    app.command("adopt")(adopt)
    app.command("ui")(ui)


def train(
    workspace: WorkspaceOption = Path(),
    outcome: Outcome = None,
    segment: Segment = None,
    features: Annotated[
        str | None, typer.Option(help="Comma-separated patterns, such as 'events_*,users_*'.")
    ] = None,
    estimator: Annotated[
        str,
        typer.Option(
            help="random_forest, logistic, or a scikit-learn classifier of your own as package.module:Class."
        ),
    ] = "random_forest",
    seed: Seed = 0,
    name: Name = None,
    note: Note = None,
    settings: Settings = None,
    as_json: JsonOption = False,
) -> None:
    """Train the retention model, judge it forward in time beside its baselines, and record the run."""
    from experiments.launch import Launch, Variation
    from experiments.train import train as run_training
    from features.workspace import Workspace

    console = Console(as_json)
    variation = Variation(
        outcome=outcome, segment=segment, features=features, estimator=estimator,
        settings=tuple(settings or ()), seed=seed, name=name, note=note,
    )  # fmt: skip
    launch = Launch.of(Workspace(workspace.resolve()), variation)
    with console.progress("train") as progress:
        made = run_training(launch, progress)
    console.say(made["sentence"])
    model = made.get("model")
    if model:
        alias = "champion" if model["champion"] else f"no champion: {model['why_no_champion']}"
        kind = "exploratory" if variation.exploratory else alias
        console.say(f"registered as {model['name']} version {model['version']} ({kind})")
    console.say(f"figures and metrics in {made['folder']}")
    console.result(made)


def sweep(
    milestones: Annotated[
        list[str] | None, typer.Argument(help="Which milestones; all without a name.")
    ] = None,
    workspace: WorkspaceOption = Path(),
    outcome: Outcome = None,
    segment: Segment = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="Explore these events alone, by comma-separated patterns, instead of all that the framework names."
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            help="Compare accounts, and shuffle outcomes, within strata of this too: seats, plan ..."
        ),
    ] = None,
    seed: Seed = 0,
    name: Name = None,
    note: Note = None,
    settings: Settings = None,
    as_json: JsonOption = False,
) -> None:
    """Sweep the threshold of milestones over every achievable cut, corrected for everything tried."""
    from experiments.launch import Launch, Variation
    from experiments.sweep_json import sentences
    from experiments.sweeps import sweep_milestones
    from features.workspace import Workspace

    console = Console(as_json)
    variation = Variation(
        outcome=outcome, segment=segment, features=features, within=within, settings=tuple(settings or ()),
        seed=seed, name=name, note=note,
    )  # fmt: skip
    launch = Launch.of(Workspace(workspace.resolve()), variation)
    with console.progress("sweep") as progress:
        made = sweep_milestones(launch, milestones or [], progress)
    for caveat in (caveat for found in made for caveat in found["caveats"]):
        console.warn(f"warning: {caveat}")
    for found in made:
        for said in sentences(found):
            console.say(f"{found['milestone']}: {said}")
    console.result({"sweeps": made})


def tune(
    milestone: Annotated[str, typer.Argument(help="Which milestone.")],
    workspace: WorkspaceOption = Path(),
    trials: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Try every definition up to so many; of more, so many by TPE."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes search here.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            help="postgresql://..., where others join the search; a journal in the workspace without it."
        ),
    ] = None,
    seed: Seed = 0,
    name: Name = None,
    note: Note = None,
    as_json: JsonOption = False,
) -> None:
    """Search joint definitions of a milestone: which steps, which levels, which event and window, and how many."""
    from experiments.launch import Launch, Variation
    from experiments.tuning import Options
    from experiments.tuning import tune as run_tuning
    from experiments.tuning_record import keep, lines
    from features.workspace import Workspace

    console = Console(as_json)
    launch = Launch.of(Workspace(workspace.resolve()), Variation(seed=seed, name=name, note=note))
    with console.progress("tune") as progress:
        tuning = run_tuning(launch, milestone, Options(trials, workers, storage), progress)
        progress("recording", 0.95)
        made = keep(tuning)
    for line in lines(tuning, made):
        console.say(line)
    for caveat in made["caveats"]:
        console.warn(f"warning: {caveat}")
    console.say(f"everything in {made['folder']}")
    console.result(made)


def adopt(
    sweep: Annotated[str, typer.Argument(help="A milestone that was swept, or the path of a sweep.json.")],
    by: Annotated[str, typer.Option(help="Who adopts it.")],
    why: Annotated[str, typer.Option(help="Why, in a sentence.")],
    workspace: WorkspaceOption = Path(),
    threshold: Annotated[
        float | None, typer.Option(help="The cut to adopt; the sweep's operating cut without it.")
    ] = None,
    minimum_effect: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The least effect worth having; half of what is expected without it."
        ),
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="The day of the decision, as 2024-05-31; today without it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Adopt a cut from a sweep: the next version of the framework, and a record of who decided it and why."""
    from datetime import date

    from experiments.adoption import Choice, adopt_cut, sentences
    from features.workspace import Workspace

    console, place = Console(as_json), Workspace(workspace.resolve())
    day = date.today().isoformat() if on is None else on
    made = adopt_cut(place, Choice(sweep, by, why, day, threshold, minimum_effect))
    for line in sentences(made, place):
        console.say(line)
    console.result(made)


def ui(
    workspace: WorkspaceOption = Path(),
    port: Annotated[int | None, typer.Option(help="The port on loopback; a free one without it.")] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the runs in a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a light MLflow server on loopback, with links straight to the runs and the newest report."""
    from experiments.server import serve
    from experiments.tracking import Store
    from features.workspace import Workspace
    from models.framework import load_framework

    place = Workspace(workspace.resolve())
    framework = load_framework(place.framework)
    serve(Store.of(place.root, framework.name), port, browser, as_json=as_json)
