"""The words for people of what stands in review.json as a code."""

from collections.abc import Mapping

from models.evaluation import label
from reports.verdicts import Verdict

VERDICT_WORDS: Mapping[str, str] = {
    Verdict.HOLD: "Hold",
    Verdict.WATCH: "Watch",
    Verdict.RE_TUNE: "Re-tune",
    Verdict.RETIRE: "Retire",
    Verdict.INSUFFICIENT_DATA: "Not enough data",
}

METHODS: Mapping[str, tuple[str, str]] = {
    "naive": (
        "Naive",
        "everybody who ever reached it against everybody else; flatters it, as leavers had less time",
    ),
    "crude": ("Fair start", "only accounts that were still there when reaching it had to be decided"),
    "time_dependent": ("Day by day", "who has not reached it yet counts as not having reached it (Cox)"),
    "stratified": ("Like with like", "compared within groups of similar accounts"),
    "weighted": ("Like with like, weighted", "accounts weighted so that both groups are alike beforehand"),
    "after_prior_use": ("Beyond earlier use", "what is left after recency and the volume of earlier use"),
    "out_of_sample": ("Out of sample", "on quarters that took no part in choosing the cut"),
}

MEASURES: Mapping[str, str] = {
    "risk_difference": "difference of the rates",
    "risk_ratio": "ratio of the rates",
    "odds_ratio": "ratio of the odds",
    "hazard_ratio": "ratio of the rates over time",
    "phi": "phi, a correlation",
    "auc": "AUC, a ranking",
}

SWEEPS: Mapping[str, str] = {
    "threshold": "A step, or a rise about as steep, is supported.",
    "gradual": "The rate rises gradually: any cut is a convention, not a jump.",
    "none": "No cut is supported.",
    "cannot_tell": "Whether it is a step or a slope cannot be told.",
    "insufficient_data": "There is too little data for any cut.",
}

EVIDENCE: Mapping[str, str] = {
    "yes": "yes, above the minimum with 95 % certainty",
    "no": "no, below the minimum with 95 % certainty",
    "unclear": "unclear, it may lie on either side of the minimum",
    "shown": "yes, beyond the error budget",
    "not_shown": "not shown",
    "mix": "yes, with the mix of customers",
    "decay": "yes, the effect itself",
}

CUTS: Mapping[str, str] = {"inside": "inside", "outside": "outside", "outside_twice": "outside"}


def model_words(name: object) -> str:
    """A model at the head of a row: "Random forest"; an estimator of one's own by its name."""
    words = label(str(name)).removeprefix("the ").replace("_", " ")
    return words[:1].upper() + words[1:]
