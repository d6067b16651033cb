"""`train`: one retention model, predicted forward in time, judged, explained, and recorded in MLflow."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.launch import Launch
from experiments.tracking import Store
from features.adoption import recent_adoption
from features.matrix import Matrix
from features.progress import ProgressCallback
from features.workspace import set_aside, write_text
from models.estimators import DEFAULT_ESTIMATOR, ESTIMATORS, find_estimator
from models.evaluation import Evaluation, evaluate
from models.importance import Importance, shap_importance
from models.retention import BASELINES, PLAIN_FORWARD, Predictions, fit_final, learnable, predict_forward
from models.splits import FEWEST_OF_A_CLASS

PARTS = (("", "value"), (".lower", "lower"), (".upper", "upper"))
NOT_NAMES = frozenset({*BASELINES, PLAIN_FORWARD})  # columns of the predictions beside the main model's

if TYPE_CHECKING:
    from experiments.tracking import Run


@dataclass(frozen=True)
class Trained:
    """What a training found; `model` is None where the data are insufficient."""

    evaluation: Evaluation | None
    predictions: Predictions | None
    model: Any
    ranking: list[dict[str, Any]]
    sentence: str
    X: pd.DataFrame
    y: "pd.Series[bool]"
    blocks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def features(self) -> list[str]:
        """The names of the features it learned from."""
        return list(self.X.columns)

    @property
    def n_observations(self) -> int:
        """How many observations it could learn from."""
        return len(self.X)

    def record(self, launch: Launch) -> dict[str, Any]:
        """model.json."""
        block = self.evaluation.as_dict() if self.evaluation else {"sentence": self.sentence}
        return {
            "schema_version": 1,
            "framework": {"version": launch.framework.version, "hash": launch.framework.hash},
            "seed": launch.variation.seed,
            "estimator": launch.variation.estimator,
            "n_features": len(self.features),
            "n_observations": self.n_observations,
            **block,
            "ranking": self.ranking,
            "importance": self.blocks,
        }


def train(launch: Launch, progress: ProgressCallback) -> dict[str, Any]:
    """Learn, judge, write output/models (a folder of its own for an exploratory run) and record the run."""
    started = time.monotonic()
    matrix = launch.matrix(lambda what, share: progress(what, 0.1 * share))
    trained = learn(launch, matrix, lambda what, share: progress(what, 0.1 + 0.7 * share))
    folder = launch.folder(launch.workspace.models, "train")
    drawn = _write(launch, trained, folder)
    progress("recording the run", 0.85)
    recorded = _record(launch, matrix, trained, folder, drawn, time.monotonic() - started)
    summary = trained.record(launch)
    del summary["importance"]  # one list per block: model.json keeps them
    return {**summary, **recorded, "folder": str(folder)}


def learn(launch: Launch, matrix: Matrix, progress: ProgressCallback) -> Trained:
    """Everything but files and MLflow."""
    variation = launch.variation
    factory = find_estimator(variation.estimator)
    features = launch.chosen_features(matrix.features)
    frame = learnable(launch.in_segment(matrix.frame))
    kept = sum(frame["retained"].astype(bool)) if len(frame) else 0
    if min(kept, len(frame) - kept) < FEWEST_OF_A_CLASS:
        sentence = (
            f"Insufficient data: {kept:,} retained and {len(frame) - kept:,} lost observations are known;"
            f" at least {FEWEST_OF_A_CLASS} of each are needed."
        )
        return Trained(None, None, None, [], sentence, frame[features], frame["retained"].astype(bool))
    # An estimator of one's own goes by the name of its class, in the record as on the page.
    main = variation.estimator.rpartition(":")[2]
    if main in NOT_NAMES and variation.estimator not in ESTIMATORS:
        main = "model"
    predictions = predict_forward(frame, features, main, factory, variation.seed, progress)
    evaluation = evaluate(predictions.frame, main, variation.seed) if len(predictions.frame) else None
    progress("explaining the model", 0.95)
    model = fit_final(frame, features, factory, variation.seed)
    rng = np.random.default_rng(variation.seed)
    ranking = _ranking(launch, matrix, frame, predictions, model, rng)
    sentence = (
        evaluation.sentence if evaluation else "Insufficient data: the log is too short to predict forward."
    )
    blocks = [
        {"known_from": block.known_from.isoformat(), "features": _described(matrix, block.features)}
        for block in predictions.importance
    ]
    return Trained(
        evaluation,
        predictions,
        model,
        ranking,
        sentence,
        frame[features],
        frame["retained"].astype(bool),
        blocks,
    )


def _described(matrix: Matrix, found: Sequence[Importance]) -> list[dict[str, Any]]:
    words = matrix.described()
    return [
        {
            "feature": i.feature,
            **{key: words[i.feature][key] for key in ("description", "unit", "category")},
            "importance": i.value,
            "lower": i.lower,
            "upper": i.upper,
        }
        for i in found
    ]


def _ranking(
    launch: Launch,
    matrix: Matrix,
    frame: pd.DataFrame,
    predictions: Predictions,
    model: Any,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Features by importance on the newest block, each beside its adoption; SHAP of the final model beside both."""
    if not predictions.importance:
        return []
    rows = _described(matrix, predictions.importance[-1].features)
    words = matrix.described()
    shares = recent_adoption(frame, [words[row["feature"]] for row in rows], launch.framework.data.features)
    explained = shap_importance(model, frame[launch.chosen_features(matrix.features)], rng)
    for row in rows:
        row |= shares[row["feature"]]
        if explained is not None:
            row |= {
                "shap": float(explained[0][row["feature"]]),
                "direction": float(explained[1][row["feature"]]),
            }
    return rows


def _write(launch: Launch, trained: Trained, folder: Path) -> list[Path]:
    """The files of a training; returns the pictures among them."""
    from experiments import figures

    metrics = {
        name: {"auc": auc}
        for name, auc in (trained.evaluation.overall() if trained.evaluation else {}).items()
    }
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    write_text(folder / "model.json", json.dumps(trained.record(launch), indent=1, ensure_ascii=False) + "\n")
    predictions = trained.predictions
    with set_aside(folder / "predictions.parquet") as path:
        frame = predictions.frame if predictions else pd.DataFrame({"account_id": []})
        frame.to_parquet(path, index=False)
    return figures.write(figures.of_model(trained.record(launch)) if trained.evaluation else {}, folder)


def _record(
    launch: Launch, matrix: Matrix, trained: Trained, folder: Path, drawn: Sequence[Path], seconds: float
) -> dict[str, Any]:
    variation = launch.variation
    store = Store.of(launch.workspace.root, launch.framework.name)
    outcome = launch.framework.data.outcomes
    params = {
        "estimator": variation.estimator,
        "outcome": outcome.kind,
        "horizon_days": outcome.horizon_days,
        "n_features": len(trained.features),
        **variation.described(),
    }
    with store.run(
        variation.name or _run_name(launch),
        "train",
        note=_note(launch, trained),
        tags=launch.tags(),
        params=params,
    ) as run:
        run.dataset(
            trained.X.assign(retained=trained.y), "observations", source=matrix.source, targets="retained",
            context="training", tags={"data_hash": matrix.manifest["data_hash"]},
        )  # fmt: skip
        model = _register(launch, store, run, trained) if trained.model is not None else None
        run.metrics({**_metrics(trained), "seconds": seconds})
        run.table(pd.DataFrame(trained.ranking), "ranking.json")
        for path in drawn:
            run.file(path, "figures")
        run.file(folder / "metrics.json")
        return {"run": run.links(), "model": model}


def _run_name(launch: Launch) -> str:
    """What tells a run without a name of its own from the standard training."""
    variation = launch.variation
    own = "" if variation.estimator == DEFAULT_ESTIMATOR else variation.estimator.rpartition(":")[2]
    return " ".join(["train", *filter(None, [own, variation.features, variation.segment])])


def _register(launch: Launch, store: Store, run: "Run", trained: Trained) -> dict[str, Any]:
    name = f"{launch.framework.name}-retention"
    record = run.model(
        trained.model, trained.X, "retention", registered_name=name, metrics=_own_metrics(trained)
    )
    champion = (
        not launch.variation.exploratory and trained.evaluation is not None and trained.evaluation.beats_rival
    )
    version = record.version
    if champion and version is not None:
        store.set_champion(name, version)
    run.tags({"champion": champion})
    why = trained.evaluation.why_no_champion if trained.evaluation else "nothing could be judged"
    return {"name": name, "version": version, "uri": record.uri, "champion": champion, "why_no_champion": why}


def _own_metrics(trained: Trained) -> dict[str, float | None]:
    """What every training has, whatever its estimator: the pages compare runs by it."""
    if trained.evaluation is None:
        return {}
    own = trained.evaluation.overall()[trained.evaluation.main]
    return {f"auc{part}": own[key] for part, key in PARTS} if own else {}


def _metrics(trained: Trained) -> dict[str, float | None]:
    """The observations, the baselines, and how far the model is ahead of the better of two."""
    found: dict[str, float | None] = {"n_observations": float(trained.n_observations)}
    if trained.evaluation is None:
        return found
    for name, auc in trained.evaluation.overall().items():
        if auc and name != trained.evaluation.main:
            found |= {f"auc.{name}{part}": auc[key] for part, key in PARTS}
    gain = trained.evaluation.gain
    if gain:
        found |= {"gain": gain.value, "gain.lower": gain.lower, "gain.upper": gain.upper}
    plain = trained.evaluation.as_dict()["plain_forward"]
    return found | ({"auc.plain_forward": plain["value"]} if plain else {})


def _note(launch: Launch, trained: Trained) -> str:
    lines = [
        launch.variation.note or "",
        trained.sentence,
        "",
        f"Lost means: {launch.framework.data.outcomes.sentence}.",
    ]
    if trained.evaluation:
        lines += ["", "| model | AUC within quarters | 95 % interval |", "|---|---|---|"]
        for name, auc in trained.evaluation.overall().items():
            if auc:
                lines.append(f"| {name} | {auc['value']:.3f} | {auc['lower']:.3f} to {auc['upper']:.3f} |")
        lines += [
            "",
            "Each prediction comes from a model that saw neither the account nor any label known later.",
            "",
        ]
        lines += ["| feature | AUC lost when shuffled | adoption | class |", "|---|---|---|---|"]
        for row in trained.ranking[:8]:
            share = "" if row["adoption"] is None else f"{row['adoption']:.0%}"
            word = row["class"] or "not applicable"
            lines.append(f"| `{row['feature']}` | {row['importance']:.4f} | {share} | {word} |")
    return "\n".join(lines).strip()
