"""The page of a review, parsed: escaped, labelled, self-contained, the same bytes each time."""

import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from reports import wording
from reports.page import drawn, html_of
from reports.shape import complete
from reports.sparklines import sparkline
from tests.unit import sample_review

VOID = {"meta", "br", "img", "link", "input", "hr"}
DECISIONS = {"Activation": {"decision": "keep", "by": "Ada", "on": "2024-10-20", "why": "it <holds>"}}


class Page(HTMLParser):
    """The elements of a page, its text, and whether every element was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> out of order"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def render(review: Any, decisions: Any = None, links: Any = None) -> str:
    return html_of(drawn(review), decisions, links)


SAMPLES = {
    "rich": sample_review.rich(),
    "bare": sample_review.bare(),
    "hostile": sample_review.hostile(),
    "empty": {},
}


@cache
def html(name: str) -> str:
    """The page of a sample."""
    return render(SAMPLES[name])


every_sample = pytest.mark.parametrize("name", list(SAMPLES))


@every_sample
def test_the_page_is_one_whole_document_in_english(name: str) -> None:
    page = Page(html(name))
    assert html(name).startswith("<!DOCTYPE html>")
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1


@every_sample
def test_ids_are_unique_and_every_fragment_has_its_place(name: str) -> None:
    page = Page(html(name))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert str(attributes["href"]).removeprefix("#") in ids


@every_sample
def test_every_image_is_labelled_and_every_table_says_what_it_holds(name: str) -> None:
    page = Page(html(name))
    for attributes in [*page.all("svg"), *page.all("img")]:
        named = attributes.get("role") == "img" and bool(attributes.get("aria-label"))
        assert named or attributes.get("aria-hidden") == "true"
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes.get("scope") in ("col", "row", "rowgroup") for attributes in page.all("th"))


@every_sample
def test_each_figure_has_its_numbers_as_a_table_beside_it(name: str) -> None:
    for figure in re.findall(r"<figure>.*?</figure>", html(name), flags=re.DOTALL):
        if 'class="figure"' in figure and "ranking-" not in figure:  # the ranking's table stands beside it
            assert "<details" in figure
            assert "<table>" in figure


@every_sample
def test_the_page_asks_for_nothing_outside(name: str) -> None:
    text = html(name).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http:" not in text
    assert "https:" not in text
    page = Page(html(name))
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {
        tag for tag, _ in page.elements
    }
    assert all("src" not in attributes for _, attributes in page.elements)
    assert "@import" not in text
    assert all(match.startswith("#") for match in re.findall(r"url\(([^)]*)\)", text))


@every_sample
def test_no_hole_shows_as_a_programmer_s_word(name: str) -> None:
    text = Page(html(name)).text
    for word in (
        "None",
        "nan",
        "NaN",
        "Undefined",
        "True",
        "False",
        "{'",
        "&lt;",
        "insufficient_data",
        "not_shown",
    ):
        assert word not in text


def test_hostile_texts_are_text() -> None:
    page = Page(html("hostile"))
    assert not page.all("script")
    assert not page.all("img")
    assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert "<script>alert('x')</script>" in page.text  # shown, as text
    assert "{{ 7 * 7 }}" in page.text
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u2028]", html("hostile"))


def test_a_hostile_verdict_or_class_cannot_leave_its_attribute() -> None:
    review = sample_review.rich()
    review["milestones"][0]["verdict"] = '"><script>'
    review["ranking"][0]["class"] = "<script>"
    review["milestones"][0]["effects"][0]["method"] = "<script>"
    page = Page(render(review))
    assert not page.all("script")
    assert "No verdict" in page.text


def test_the_same_arguments_give_the_same_bytes_and_stay_as_they_were() -> None:
    review = sample_review.rich()
    assert render(review, DECISIONS) == render(review, DECISIONS)
    assert review == sample_review.rich()


def test_page_one_says_what_was_known_and_what_is_proposed() -> None:
    text = Page(html("rich")).text
    for words in (
        "Northwind Inbox 2024Q3",
        "15 Oct 2024",
        "Northwind customer milestones, version 3",
        "9f2c41d8",
        "silent: no core event for 90 days; 19 % within 180 days, n = 9,840",
        "Referral : the log holds no event that could mean a referral",
        "Of 5 milestones: 1 hold, 1 to watch, 1 to re-tune, 1 to retire, 1 without enough data.",
    ):
        assert words in text
    assert "PROPOSED" not in text
    assert "PROPOSED" in Page(html("bare")).text


def cells_of(text: str, name: str) -> list[str]:
    """The row of the verdict table that belongs to a milestone."""
    table = text[text.index('<table class="verdicts">') :]
    row = next(row for row in re.findall(r"<tr>.*?</tr>", table, flags=re.DOTALL) if f">{name}</a>" in row)
    return [Page(cell).text for cell in re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.DOTALL)]


def test_the_verdict_table_holds_the_figures_of_each_milestone() -> None:
    assert cells_of(html("rich"), "Activation")[:7] == [
        "Activation at least 5 conversations within the first 90 days",
        "Hold",
        "41 % n = 561",
        "+13.0 points (9.0 to 17.0)",
        "+11.9 points (8.1 to 15.7) n = 2,310",
        "5 inside 4 to 7",
        "2023Q4 next 14 Nov 2024",
    ]
    utilization = cells_of(html("rich"), "Utilization")
    assert utilization[1] == "Re-tune"
    assert utilization[5] == "2 outside 3.5 to 6 operating cut 4"
    assert utilization[6] == "2024Q2 next 14 Jan 2025 none matured since the last review"
    edge = sample_review.rich()["milestones"][1]
    edge["threshold"]["current"] = 7  # the last cut of the plateau belongs to it
    assert cells_of(render({"milestones": [edge]}), "Activation")[5] == "7 inside 4 to 7 operating cut 5"
    assert cells_of(html("rich"), "Maturity")[5] == "3 no plateau"
    assert cells_of(html("rich"), "Expansion")[3] == "not defined"


def test_each_verdict_has_its_word_and_its_own_shape() -> None:
    shapes = dict(
        re.findall(r'<span class="verdict ([\w-]+)">(<svg.*?</svg>)', html("rich"), flags=re.DOTALL)
    )
    assert set(shapes) == {"hold", "watch", "re-tune", "retire", "insufficient_data"}
    assert len(set(shapes.values())) == 5


def test_the_naive_number_stands_beside_the_fair_one_in_plain_words() -> None:
    article = html("rich").split('id="m2"')[1].split("</article>")[0]
    table = article[article.index('<table class="effects') :]
    rows = [
        (look, Page(row).text) for look, row in re.findall(r'<tr class="(.*?)">(.*?)</tr>', table, re.DOTALL)
    ]
    assert rows[0][0] == "group"
    assert rows[1][0] == "naive"
    assert "flatters it" in rows[1][1]
    assert "+20.9 points (17.9 to 23.9)" in rows[1][1]
    fair = [text for look, text in rows if look == "fair"]
    assert len(fair) == 1
    assert "Like with like" in fair[0]
    assert "+11.9 points (8.2 to 15.6)" in fair[0]
    assert any("1.42 times (1.28 to 1.56)" in text for _, text in rows)


def test_what_is_missing_is_said_in_words() -> None:
    text = Page(html("bare")).text
    assert "Insufficient data: no milestone can be judged yet." in text
    assert "The model: not enough data yet." in text
    assert "The next cohort matures on 30 Dec 2024." in text
    assert "No milestone is defined." in Page(html("empty")).text
    assert "max-width: 518px" not in html("bare")  # no figure is drawn of nothing


def test_any_key_may_be_null(monkeypatch: pytest.MonkeyPatch) -> None:
    # Figures are drawn, and not written: each of them copes on its own, and writing takes most of the time.
    monkeypatch.setattr("reports.figures.svg", lambda *_: "")
    review = sample_review.rich()
    lone = review | {"milestones": review["milestones"][1:2]}
    for key in review:
        assert render(lone | {key: None})
    for key in review["milestones"][1]:
        assert render({"milestones": [review["milestones"][1] | {key: None}]})


def test_a_key_that_is_absent_is_a_key_that_is_null() -> None:
    nulls = dict.fromkeys(sample_review.rich()) | {"milestones": [{"name": None}]}
    assert complete(nulls) == complete({"milestones": [{}]})


def test_decisions_are_shown_by_milestone_or_by_quarter() -> None:
    review = {"quarter": "2024Q3", "milestones": [{"name": "Setup"}, {"name": "Activation"}]}
    for decisions in (
        DECISIONS,
        {"2024Q3": DECISIONS, "2024Q2": {"Setup": "drop it"}},
        {"Activation": "keep"},
    ):
        text = Page(render(review, decisions)).text
        assert "What the review meeting decided" in text
        assert "drop it" not in text
    assert "it <holds>" in Page(render(review, DECISIONS)).text
    assert "What the review meeting decided" not in Page(html("rich")).text


def test_links_are_linked_only_where_they_lead_somewhere() -> None:
    links: dict[str, Any] = {
        "review": {"run_id": "8f", "path": "#/experiments/1/runs/8f", "server": "http://127.0.0.1:5000"},
        "milestones": {"Setup": {"path": "#/experiments/2/runs/9a", "server": None}},
        "file": "review.json",
        "trap": "javascript:alert(1)",
        "broken": "http://[",
        "gone": None,
    }
    text = render(SAMPLES["bare"], None, links)
    addresses = [str(a["href"]) for a in Page(text).all("a")]
    assert "http://127.0.0.1:5000/#/experiments/1/runs/8f" in addresses
    assert "review.json" in addresses
    assert not any("javascript" in address or "9a" in address or "[" in address for address in addresses)
    assert "milestones, Setup: run #/experiments/2/runs/9a" in Page(text).text


def test_volumes_are_compared_with_the_quarter_before() -> None:
    text = Page(html("rich")).text
    assert "1,284,031 +5 % on 2024Q2" in text  # 1,284,031 against 1,225,627


def test_the_main_model_may_have_another_name() -> None:
    review = sample_review.rich()
    model = review["model"]
    model |= {"name": "my_trees", "rival": "base_rate"}
    model["overall"] = {"my_trees": model["overall"]["random_forest"], "base_rate": None}
    model["history"] = [row | {"my_trees": row.pop("random_forest")} for row in model["history"]]
    text = Page(render(review)).text
    assert "My trees 0.76 (0.74 to 0.77) 9,840" in text
    assert "My trees minus the base rate 0.046 (0.037 to 0.055)" in text


# The parts.


def test_complete_fills_every_hole_and_keeps_what_it_does_not_know() -> None:
    made = complete(
        {"milestones": [{"name": "a", "extra": 1}, None], "funnel": "nonsense", "extra": float("nan")}
    )
    assert made["milestones"][0]["threshold"]["plateau"] == []
    assert made["milestones"][0]["extra"] == 1
    assert made["milestones"][1]["realised"]["value"] is None
    assert made["funnel"] == {"cohort_quarter": None, "steps": []}
    assert made["extra"] is None


def test_sparkline_draws_each_known_quarter_and_marks_the_chosen() -> None:
    milestone = complete(SAMPLES["rich"])["milestones"][1]
    text = sparkline(milestone)
    assert text.count("<circle") == 12
    assert text.count('fill="#fff"') == 4
    assert (
        'aria-label="Effect per cohort quarter, from +17.0 points in 2021Q1 to +13.0 points in 2023Q4"'
        in text
    )
    assert sparkline(complete(SAMPLES["bare"])["milestones"][0]) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.percent(0.62), "62 %"),
        (wording.percent(0.004), "0.4 %"),
        (wording.percent(0.0004), "under 0.1 %"),
        (wording.percent(0.996), "99.6 %"),
        (wording.percent(0.9999), "over 99.9 %"),
        (wording.percent(1.0), "100 %"),
        (wording.percent(0.0), "0 %"),
        (wording.percent(None), "not enough data yet"),
        (wording.percent(float("nan")), "not enough data yet"),
        (wording.points(0.119), "+11.9 points"),
        (wording.points(-0.03), "\N{MINUS SIGN}3.0 points"),
        (wording.points(-0.0001), "0.0 points"),
        (wording.difference({"value": 0.119, "lower": 0.081, "upper": 0.156}), "+11.9 points (8.1 to 15.6)"),
        (wording.difference({"value": 0.1, "lower": None, "upper": 0.2}), "+10.0 points (no interval)"),
        (wording.share({"value": 0.5, "lower": 0.4, "upper": 0.6}), "50 % (40 to 60)"),
        (
            wording.measure({"measure": "risk_ratio", "value": 1.9, "lower": 1.6, "upper": 2.2}),
            "1.90 times (1.60 to 2.20)",
        ),
        (wording.measure({"measure": "auc", "value": None}), "not estimable"),
        (wording.count(12345.0), "12,345"),
        (wording.number(0.75), "0.75"),
        (wording.number(1200.0), "1,200"),
        (wording.number(None), "not defined"),
        (wording.compact(1_284_031), "1.28 M"),
        (wording.day("2024-10-05"), "5 Oct 2024"),
        (wording.day("2024-10-05T00:00:00"), "5 Oct 2024"),
        (wording.day("soon"), "soon"),
        (wording.line("a\n\tb\x07c"), "a b c"),
        (wording.line("x" * 400, 10), "xxxxxxxxx…"),
        (wording.known(True), False),
    ],
)
def test_numbers_read_as_people_write_them(said: object, expected: object) -> None:
    assert said == expected


def test_the_chain_says_what_else_a_milestone_does_and_what_it_does_by_revenue() -> None:
    section = html("rich").split('id="chain"')[1].split("</section>")[0]
    tables = [Page(table).text for table in re.findall(r"<table>.*?</table>", section, re.DOTALL)[:2]]
    assert "by revenue +12.0 points (3.0 to 21.0)" in tables[0]
    assert "Retained Expanded Dormant" in tables[1]
    assert (
        "Activation +9.0 points (6.0 to 12.0) n = 2,310 accounts by revenue +4.0 points (−3.0 to 11.0)"
        in tables[1]
    )
    maturity = tables[1].split("Maturity")[1]
    assert maturity.endswith("–")  # a state has no landmark to go quiet after
    assert "chosen on" not in tables[1]


def test_an_effect_by_revenue_says_so() -> None:
    review = sample_review.rich()
    first = review["milestones"][0]["effects"][1]
    review["milestones"][0]["effects"].append({**first, "weighted_by": "revenue"})
    assert render(review).count("difference of the rates, by revenue") == 1


def restated_words(accounts: int, moved: list[dict[str, Any]]) -> str:
    review = {**sample_review.rich(), "restated": {"accounts": accounts, "moved": moved}}
    found = re.search(r"Restated: .*?\.(?= )", Page(render(review)).text)
    return found.group() if found else ""


def test_page_one_says_what_was_restated_and_in_which_units_it_moved() -> None:
    moved = sample_review.rich()["restated"]["moved"]
    since = "other rows than when this quarter was first reviewed"
    assert restated_words(0, []) == ""
    assert restated_words(1, []) == f"Restated: 1 account has {since}; no headline number moved."
    assert (
        restated_words(12, moved[:1]) == f"Restated: 12 accounts have {since}, and 1 headline number moved ."
    )
    assert (
        restated_words(1204, moved)
        == f"Restated: 1,204 accounts have {since}, and 5 headline numbers moved ."
    )
    text = Page(render(sample_review.rich())).text
    for row in (
        "Setup verdict Hold Watch",
        "Setup realised effect +11.9 points not enough data yet",
        "Setup adoption 62.1 % 62.4 %",
        "Activation plateau 4 to 7 6",
        "Activation operating cut not defined 6",
    ):
        assert row in text
