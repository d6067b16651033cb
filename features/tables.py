"""The input contract: logical tables, their columns and types. A source maps its own names to these."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "time", "number"]


@dataclass(frozen=True)
class TableContract:
    """Columns by logical name; the required ones must be mapped."""

    required: tuple[str, ...]
    columns: dict[str, Kind]
    # Names that real sources use, most telling first; `init` maps by them before it looks at the values.
    synonyms: dict[str, tuple[str, ...]]
    # When a row begins to hold and, of spells and states, when it ends.
    begins: str | None = None
    ends: str | None = None
    # Rows of one account that agree in these are versions of one another: the one recorded last stands.
    versioned_by: tuple[str, ...] = ()


ACCOUNT_NAMES = (
    "account_id", "account", "customer_id", "customer", "company_id", "company", "organization_id",
    "organisation_id", "org_id", "workspace_id", "tenant_id", "team_id", "client_id", "subscriber_id",
    "uid", "user_id", "user", "member_id", "actor_id", "actor", "id",
)  # fmt: skip
PLAN_NAMES = ("plan", "plan_tier", "plan_name", "tier", "package")
SEAT_NAMES = ("seats", "seat_count", "n_seats", "licenses", "licences", "quantity")
RECORDED = "recorded_at"  # when the source learned of a row
RECORDED_NAMES = (
    "recorded_at", "ingested_at", "loaded_at", "inserted_at", "received_at", "processed_at", "etl_at", "load_ts",
    "ingest_ts",
)  # fmt: skip

TABLES: dict[str, TableContract] = {
    "events": TableContract(
        required=("account_id", "event", "occurred_at"),
        columns={"account_id": "id", "event": "text", "occurred_at": "time", "user_id": "id", "quantity": "number", "recorded_at": "time"},
        begins="occurred_at",
        synonyms={
            "account_id": ACCOUNT_NAMES,
            "event": ("event", "event_name", "event_type", "action", "activity", "feature", "type", "name", "kind"),
            "occurred_at": (
                "occurred_at", "ts", "timestamp", "event_time", "event_timestamp", "event_at", "time", "created_at",
                "datetime", "event_date", "usage_date", "date", "day",
            ),
            "user_id": ("user_id", "seat_id", "member_id", "agent_id", "user", "actor_id"),
            "quantity": ("quantity", "count", "event_count", "usage_count", "n_events", "qty"),
            "recorded_at": RECORDED_NAMES,
        },
    ),
    "accounts": TableContract(
        required=("account_id", "signed_up_at"),
        columns={"account_id": "id", "signed_up_at": "time"},
        begins="signed_up_at",
        synonyms={
            "account_id": ACCOUNT_NAMES,
            "signed_up_at": (
                "signed_up_at", "signup_ts", "signup_at", "signup_date", "signed_up", "created_at", "created_ts",
                "created", "registered_at", "registration_date", "joined_at", "start_date", "first_seen", "first_ts",
            ),
        },
    ),
    "subscriptions": TableContract(
        required=("account_id", "started_at"),
        columns={
            "account_id": "id", "started_at": "time", "ended_at": "time", "plan": "text", "seats": "number",
            "mrr": "number", "term_months": "number", "renews_at": "time", "trial": "text", "recorded_at": "time",
        },
        begins="started_at", ends="ended_at", versioned_by=("started_at",),
        synonyms={
            "account_id": ACCOUNT_NAMES,
            "started_at": ("started_at", "start_date", "start_ts", "start_at", "valid_from", "begin_date", "start"),
            "ended_at": ("ended_at", "end_date", "end_ts", "end_at", "valid_to", "cancelled_at", "canceled_at", "end"),
            "plan": PLAN_NAMES,
            "seats": SEAT_NAMES,
            "mrr": ("mrr", "mrr_amount", "monthly_revenue", "mrr_usd"),
            "term_months": ("term_months", "term"),
            "renews_at": ("renews_at", "renewal_date", "renewal_at"),
            "trial": ("trial", "is_trial"),
            "recorded_at": RECORDED_NAMES,
        },
    ),
    "states": TableContract(
        required=("account_id", "attribute", "value", "valid_from"),
        columns={
            "account_id": "id", "attribute": "text", "value": "text", "valid_from": "time", "valid_to": "time",
            "recorded_at": "time",
        },
        begins="valid_from", ends="valid_to", versioned_by=("attribute", "valid_from"),
        synonyms={
            "account_id": ACCOUNT_NAMES,
            "attribute": ("attribute", "attribute_name", "property", "setting", "key", "state", "field", "name"),
            "value": ("value", "attribute_value", "new_value", "setting_value", "state_value", "current_value"),
            "valid_from": (
                "valid_from", "effective_from", "started_at", "start_date", "changed_at", "since", "set_at", "start",
                "occurred_at", "ts", "timestamp", "date",
            ),
            "valid_to": ("valid_to", "effective_to", "valid_until", "ended_at", "end_date", "until", "end"),
            "recorded_at": RECORDED_NAMES,
        },
    ),
    "outcomes": TableContract(
        required=("account_id", "occurred_at"),
        columns={"account_id": "id", "occurred_at": "time", "outcome": "text", "recorded_at": "time"},
        begins="occurred_at", versioned_by=("occurred_at",),
        synonyms={
            "account_id": ACCOUNT_NAMES,
            "occurred_at": (
                "occurred_at", "churn_ts", "churned_at", "churn_date", "churn_at", "cancelled_at", "canceled_at",
                "cancel_date", "ended_at", "end_date", "first_churn_ts", "ts", "date",
            ),
            "outcome": ("outcome", "outcome_type", "kind"),
            "recorded_at": RECORDED_NAMES,
        },
    ),
    "eligibility": TableContract(
        required=("feature",),
        columns={"feature": "text", "plan": "text", "launched_at": "time", "tracked_from": "time"},
        synonyms={
            "feature": ("feature", "event", "event_name", "category", "feature_name", "name"),
            "plan": PLAN_NAMES,
            "launched_at": ("launched_at", "launch_date", "launched", "released_at", "release_date", "available_from"),
            "tracked_from": ("tracked_from", "tracking_since", "tracked_since", "tracking_started_at", "instrumented_at"),
        },
    ),
}  # fmt: skip
