"""Writes docs/features.md from the catalogue of the demo company, so that the page cannot say anything else.

python -m tests.features_page > docs/features.md
"""

import sys
from functools import cache

from features.catalogue import catalogue, described
from features.simulation.scenario import load_scenario
from features.simulation.simulator import draw_company
from features.states import States
from models.demonstration import adopted_framework

HEAD = """# Features

Every feature of the demo company, as `milestones features --list -w build/demo` shows them for any workspace. A
feature looks at the half-open window of so many days before the as-of date, never at the date itself. This page is
written by `make docs`.

## One more, without touching code

A feature of your own is an entry under `data.features.extras` in framework.yaml, and a column of the matrix from the
next `milestones features` on:

```yaml
extras:
  - {name: first_report, description: Days to the first report, aggregation: days_to_first, events: [report_viewed]}
  - {name: automation_share_60d, aggregation: count, category: automation, window_days: 60, per: events}
  - {name: seat_change_90d, aggregation: seats, window_days: 90}
  - {name: sso_on, aggregation: state, attribute: sso, equals: "on"}
  - {name: macros, aggregation: state, attribute: macros}
```

| key | says |
|---|---|
| `aggregation` | `count`, `active_days`, `active_weeks` (weeks count back from the date), `streak` (active weeks in a row up to it), `irregularity` (how much the gaps between active days vary, over their mean), `distinct_users`, `days_since` (the last event), `days_to_first` (from signup), `tenure`, `seats` and `revenue` (in force at the date, or their change over a window: since its first instant, a spell that starts there included), `state` (the value of an attribute in force) |
| `events` or `category` | which events; all of them without either. `tenure`, `seats`, `revenue` and `state` look at none |
| `window_days` | how far back; all history without it, and always for `days_since`, `days_to_first` and `tenure` |
| `per` | of a count: `seat` (seats at the window's start), `user` (users of these events in the window), `tenure` (30 days of it), `events` (all of the window: a share) |
| `trend` | of a count or active days: against the window before, from -1 to 1 |
| `attribute`, `equals` | of a state: which attribute of the states table, or column listed under `fixed_at_signup`; with `equals` 1 where its value is this one and 0 elsewhere, without the value as a number |
| `description`, `unit` | what people read; words that go without saying where they are left out |

## Adoption

`milestones features --adoption` shows who uses each feature. An account has adopted a count, a rate or share of one,
active days or weeks, a streak, users, kinds of event or a state where the value is above zero. Adoption does not apply to
trends (zero is steady use and no use alike), days since the last event, days to the first (missing is "never" and
"not knowable" alike; a `count` without `window_days` tells), irregularity, tenure, seats and revenue.

- Adoption is a share of account-quarters, of accounts that were customers at each close; with a silent outcome, of
  accounts active in the last `horizon_days` days before each close (with a core event; or of which too little was tracked
  to say). It is no share of all that signed up: the heading and `adoption.json` give both numbers. Support counts
  accounts: those with use ever in the year, of those eligible ever in the year.
- The denominator is the *eligible* observations of these: those with a value. Missing means that the account could not
  use the feature, or that nobody can know.
- With a silent outcome, features that all of these accounts use, or would not be counted, are `by definition`: a count,
  rate or share, active days or weeks or kinds, of all core events or more, over the horizon or longer. They have no class
  by share and no interval. This is told from the declaration, not from a share of 100%.
- The class is that of the newest four quarters: `niche` below `niche_below`, `ubiquitous` above `ubiquitous_above`,
  `unclear` with fewer than `minimum_support` different eligible accounts ([why](decisions/0008-a-class-needs-accounts.md)).
- The interval is Wilson's, on the number of observations that independent accounts would need.
- Size is thirds of the newest year's observations by seats in force, or by the events of the longest window where seats
  are not known; equal sizes stay together. Size by events is itself use: read it as light and heavy users.
- A feature *differs* in a plan or size where the whole interval there lies within another class, and apart from the
  interval of all: niche overall and representative in one plan is a premium feature.

## Attributes of the states table

Each attribute listed under `data.features.states` gets features of its own: where all its values are numbers the number
in force (`state_macros`, missing where there is none), else 1 or 0 for each of its five commonest values
(`state_sso_on`, `state_sso_off`). `init --states` lists up to twenty of those that tell accounts apart. An attribute that
is not there is refused, with the nearest one that is; so is an extra that asks a text for a number, with the values that
are there. `check` warns of an `equals` that no row has.

## What an account could not use

With an `eligibility` table a feature of events that an account could not use at the date, or that were not tracked for
as long as it looks back, is missing ([data.md](data.md)).

## The catalogue
"""


@cache
def page() -> str:
    """The whole page."""
    scenario = load_scenario("default").sized(accounts=60, quarters=4)
    company = draw_company(scenario, 0)
    data = adopted_framework(scenario, company.columns).data
    states = States(dict(list(company.states.to_pandas().groupby("attribute"))))
    rows = described(catalogue(data, has_users=True, has_seats=True, has_revenue=True, states=states))
    lines = [
        HEAD,
        "| feature | what it is | unit | category | when there is nothing |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{r['name']}` | {r['description']} | {r['unit']} | {r['category']} | {r['when_nothing']} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
