"""What a review says of the model, from what `milestones train` left in the workspace."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from features.adoption import recent_adoption
from features.declaration import Features
from features.matrix import Matrix, read_matrix
from features.workspace import Workspace
from models.evaluation import evaluate
from models.framework import Framework

RANKED = 40
TRAINED_TODAY = (
    "The model and the ranking rest on all rows there are: `train` does not ask when one was recorded."
)


@dataclass(frozen=True)
class ModelPart:
    """The model and the ranking of features as a review has them; nothing where no prediction was known by then."""

    model: dict[str, Any] | None = None
    ranking: list[dict[str, Any]] = field(default_factory=list)
    caveats: tuple[str, ...] = ()

    @classmethod
    def of(cls, review: dict[str, Any]) -> "ModelPart":
        """What a review.json says of the model."""
        caveats = tuple(caveat for caveat in review["caveats"] if caveat == TRAINED_TODAY)
        return cls(review["model"], review["ranking"], caveats)


@dataclass(frozen=True)
class Learned:
    """What `milestones train` left in the workspace; empty where it found too little."""

    record: dict[str, Any]
    predictions: pd.DataFrame
    matrix: Matrix

    @classmethod
    def of(cls, workspace: Workspace, framework: Framework) -> "Learned":
        """What is there now. Raises DataError naming the command that is missing."""
        matrix = read_matrix(workspace, framework.data)
        record = workspace.read_json(workspace.models / "model.json", "train")
        predictions = workspace.read_table(workspace.models / "predictions.parquet", "train")
        return cls(record, predictions, matrix)

    def part(
        self, known_at: pd.Timestamp, seed: int, settings: Features, *, recorded: bool = False
    ) -> ModelPart:
        """What can be said of outcomes that were known by then; with a caveat where tables know what was recorded when."""
        model = self._model(known_at, seed)
        caveats = (TRAINED_TODAY,) if recorded and model is not None else ()
        return ModelPart(model, self._ranking(known_at, settings), caveats)

    def _model(self, known_at: pd.Timestamp, seed: int) -> dict[str, Any] | None:
        main, predictions = self.record.get("name"), self.predictions
        if main is None or not len(predictions) or not (predictions["known_from"] <= known_at).any():
            return None
        return evaluate(predictions, main, seed, known_at).as_dict()

    def _ranking(self, known_at: pd.Timestamp, settings: Features) -> list[dict[str, Any]]:
        """Importance from the newest block of predictions whose outcomes were all known by then, with adoption then."""
        blocks = [b for b in self.record.get("importance", []) if pd.Timestamp(b["known_from"]) <= known_at]
        if not blocks:
            return []
        rows = sorted(blocks[-1]["features"], key=lambda row: -row["importance"])[:RANKED]
        frame, words = self.matrix.frame, self.matrix.described()
        features = [words[row["feature"]] for row in rows]
        shares = recent_adoption(frame[frame["as_of"] <= known_at], features, settings)
        return [{**row, **shares[row["feature"]]} for row in rows]
