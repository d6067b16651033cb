"""`demo`: a simulated company, and the whole platform on it from check to review."""

from pathlib import Path

from experiments.launch import Launch, Variation
from experiments.sweeps import sweep_milestones
from experiments.train import train
from features.adoption_record import write_adoption
from features.console import Console
from features.errors import UsageError
from features.fingerprints import of_inputs
from features.intake import open_log
from features.matrix import build_matrix
from features.workspace import Workspace, empty
from models.demonstration import make_company
from models.framework import load_framework
from reports.publication import publish

MARK = ".demo"  # only a folder that a demo made is ever replaced


def run_demo(root: Path, accounts: int, seed: int, console: Console) -> None:
    """Start over in `root`. Raises UsageError when the folder holds something that is no demo."""
    _start_over(root)
    place = Workspace(root)
    with console.progress("1/6 simulate") as progress:
        made = make_company(root, "default", accounts, None, seed, progress)
    console.say(
        f"1/6 simulate  {made['accounts']:,} accounts, {made['events']:,} events; the truth is in data/truth.json"
    )
    framework = load_framework(place.framework)
    with console.progress("2/6 check") as progress:
        progress("reading the tables", 0.3)
        inputs = of_inputs(framework.data, root)
        log = open_log(framework.data, root)
        log.write_quarantine(place.quarantine)
    for line in log.books():
        console.say(f"2/6 check     {line}")
    with console.progress("3/6 features") as progress:
        manifest = build_matrix(log, framework.data, place, inputs, progress)
        write_adoption(place, framework.data, manifest)
    console.say(
        f"3/6 features  {len(manifest['features'])} features of {manifest['n_observations']:,} observations"
    )
    launch = Launch.of(place, Variation(seed=seed))
    with console.progress("4/6 train") as progress:
        trained = train(launch, progress)
    console.say(f"4/6 train     {trained['sentence']}")
    with console.progress("5/6 sweep") as progress:
        for found in sweep_milestones(launch, [], progress):
            console.say(f"5/6 sweep     {found['milestone']}: {found['verdict']}. {found['sentence']}")
    with console.progress("6/6 review") as progress:
        reviews = publish(place, "all", seed, progress)
    console.say(f"6/6 review    {len(reviews)} quarters. {reviews[-1]['quarter']}: {reviews[-1]['headline']}")
    console.say()
    console.say(f"The report:  {reviews[-1]['report']}")
    console.say(f"The runs:    {_command()} ui -w {root}")
    console.result(
        {"workspace": str(root), **made, "features": len(manifest["features"]), "reviews": reviews}
    )


def _start_over(root: Path) -> None:
    if root.exists() and any(root.iterdir()) and not (root / MARK).exists():
        raise UsageError(f"{root} holds something that no demo made: choose another folder")
    empty(root)
    root.mkdir(parents=True)
    (root / MARK).write_text("Made by `milestones demo`, and replaced by the next one.\n", encoding="utf-8")


def _command() -> str:
    import sys

    invoked = Path(sys.argv[0])
    return str(invoked) if invoked.name == "milestones" else "milestones"
