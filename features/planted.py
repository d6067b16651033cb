"""What is planted in a simulated support-software company: events, milestones and how strongly each works.

The chain is setup -> activation -> utilization -> maturity -> retention. Every link is a *step* in a count
that the event log itself shows, so a cut that is swept on the log has a right answer. Nothing here draws a
number: `features.company` lives these figures month by month, `features.simulator` makes tables of them.
"""

from dataclasses import dataclass, field, fields, replace

import pandas as pd

from features.errors import UsageError
from features.quarters import Quarters

MONTH_DAYS = 30  # a month of tenure
TERM_DAYS = 365  # the term of an annual account

# Setup steps and the chance that an account does them in its first month: none is certain, none is rare.
SETUP_STEPS = {
    "install_messenger": 0.93,
    "connect_email": 0.85,
    "invite_teammate": 0.80,
    "import_contacts": 0.64,
    "set_office_hours": 0.58,
    "create_first_macro": 0.72,
    "enable_bot": 0.48,
}
STARTED, RESOLVED = "conversation_started", "conversation_resolved"
# Category -> its events and the chance that an account which uses the category uses this event.
CATEGORIES: dict[str, dict[str, float]] = {
    "support_channels": {
        "email_channel_used": 0.80,
        "social_message_answered": 0.45,
        "phone_call_answered": 0.25,
    },
    "automation": {"bot_reply_sent": 0.75, "workflow_run": 0.50, "auto_assignment_applied": 0.35},
    "support_operations": {"macro_applied": 0.80, "ticket_tagged": 0.60, "internal_note_added": 0.40},
    "interoperability": {"app_action_used": 0.90, "api_call_made": 0.30, "data_synced": 0.45},
    "reporting": {"report_viewed": 0.85, "dashboard_edited": 0.35, "export_downloaded": 0.50},
}
UBIQUITOUS = "style_home_screen"
NICHE = "custom_sla_rule_edited"
DRIVER, TWIN = "app_action_used", "app_card_viewed"
# Event -> (share of accounts that use it, their uses a month). Nothing depends on them nor they on anything.
NOISE = {
    "theme_changed": (0.35, 0.6),
    "shortcut_used": (0.55, 4.0),
    "profile_updated": (0.70, 0.4),
    "changelog_opened": (0.25, 1.2),
}

CATEGORY_EVENTS = tuple(event for events in CATEGORIES.values() for event in events)
EVENTS = (*SETUP_STEPS, STARTED, RESOLVED, *CATEGORY_EVENTS, UBIQUITOUS, NICHE, TWIN, *NOISE)
PLANS = ("essential", "professional", "enterprise")

SETUP_AT_LEAST, SETUP_DAYS = 5, 30
ACTIVATION_CUT, ACTIVATION_DAYS = 20, 90
UTILIZATION_CUT, UTILIZATION_DAYS = 4.0, 30
BASIC_CUT, MATURE_CUT, MATURITY_DAYS = 3, 20, 90
MATURITY_AT_LEAST = 3
TYPICAL_SEATS = 3.0


@dataclass(frozen=True)
class Effects:
    """How strongly each milestone works. The defaults are planted; `NO_EFFECTS` has none."""

    setup_lift: float = 2.2  # ratio of conversations from day 30 to 90 once setup is reached
    utilization_below: float = 0.26  # chance of the busy state in the months after day 90, not activated
    utilization_above: float = 0.64  # the same, activated
    drift_left: float = 0.5  # share of activation's effect that is left late in the log
    maturing_chance: float = 0.015  # chance a month that a category goes from basic to mature use
    maturing_lift: float = 8.0  # ratio of that chance once utilization was reached in the month before
    expansion_chance: float = 0.012  # chance a month to buy seats
    expansion_lift: float = 3.0  # ratio of that chance once utilization was reached in the month before
    hazard: float = 0.042  # chance a month to leave: typical size, no milestone met
    utilization_hazard_ratio: float = 0.45
    maturity_hazard_ratio: float = 0.22
    size_exponent: float = -0.25  # hazard x (seats / typical seats) ** this: the confounder, no milestone
    leaving_use: float = 0.45  # share of usage left in the days before an account leaves

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "size_exponent" and not value >= 0:
                raise UsageError(f"{item.name} is {value}: an effect is a chance or a ratio, from 0 on")
            if item.name in CHANCES and value > 1:
                raise UsageError(f"{item.name} is {value}: give a share between 0 and 1")


CHANCES = (
    "utilization_below", "utilization_above", "drift_left", "maturing_chance", "expansion_chance", "hazard",
    "leaving_use",
)  # fmt: skip
# Milestones do nothing; size still keeps accounts, so raw counts look as if they did. Usage does not fade
# before leaving: a fade would show in a month's usage and point back at whoever leaves.
SIZE_ALONE = Effects(
    setup_lift=1.0, utilization_below=0.42, utilization_above=0.42, drift_left=1.0, maturing_chance=0.06,
    maturing_lift=1.0, expansion_chance=0.02, expansion_lift=1.0, hazard=0.024, utilization_hazard_ratio=1.0,
    maturity_hazard_ratio=1.0, leaving_use=1.0,
)  # fmt: skip
NO_EFFECTS = replace(SIZE_ALONE, size_exponent=0.0)


@dataclass(frozen=True)
class Scenario:
    """One company to simulate. The log covers `n_quarters` calendar quarters from `first_quarter` on.

    `seed` is recorded in the truth; whoever simulates makes the generator from it.
    Raises UsageError naming the field, the value and the remedy.
    """

    name: str = "support"
    n_accounts: int = 3000
    n_quarters: int = 12
    first_quarter: str = "2022Q1"
    seed: int = 0
    effects: Effects = field(default_factory=Effects)

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError("name is empty: give the scenario a name")
        if not 1 <= self.n_accounts <= 1_000_000:
            raise UsageError(f"n_accounts is {self.n_accounts}: choose between 1 and 1000000 accounts")
        if not 4 <= self.n_quarters <= 40:
            raise UsageError(f"n_quarters is {self.n_quarters}: choose between 4 and 40 quarters")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}: choose 0 or a positive number")
        if not 1971 <= Quarters().start(self.first_quarter).year <= 2200:
            raise UsageError(f"first_quarter is {self.first_quarter}: choose a year between 1971 and 2200")

    def quarter_start(self, number: int) -> pd.Timestamp:
        """The first instant of the log's quarter `number`, from 0; `n_quarters` gives the end of the log."""
        return Quarters().start(Quarters().shift(self.first_quarter, number))

    @property
    def start(self) -> pd.Timestamp:
        """The first instant of the log."""
        return self.quarter_start(0)

    @property
    def end(self) -> pd.Timestamp:
        """The first instant after the log."""
        return self.quarter_start(self.n_quarters)

    @property
    def drift_at(self) -> pd.Timestamp:
        """The start of the last three quarters: from here on activation works less."""
        return self.quarter_start(self.n_quarters - 3)

    @property
    def pricing_at(self) -> pd.Timestamp:
        """The day of the pricing change, in the middle of the log."""
        return self.quarter_start(self.n_quarters // 2)


SCENARIOS: dict[str, Scenario] = {
    "support": Scenario(),
    "null": Scenario(name="null", effects=NO_EFFECTS),  # the negative control
    "size": Scenario(name="size", effects=SIZE_ALONE),  # the confounder without any milestone
}
