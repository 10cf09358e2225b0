"""A default run is never red on an ordinary log: small odd logs through every notebook."""

import re
from itertools import product
from typing import Any

import pytest

from tests.odd_logs import LOGS, write
from tests.warm import Warm, run_warm

FEW_MODELS = {name: {} for name in ("random", "baseline", "content", "blend", "ease", "markov")}
FEW_MODELS |= {"forest": {"n_trees": 4}, "als": {"n_factors": 4}, "item_neighbours": {}}
SMALL: dict[str, dict[str, Any]] = {
    "00_business": {"n_resamples": 50},
    "01_data_exploration": {},
    "02_interest_matrix": {},
    "03_user_portraits": {"most_segments": 3, "n_seeds": 2},
    "04_model_comparison": {"n_resamples": 100, "n_trials": 1, "models": FEW_MODELS},
    "05_sales_conversion": {"n_resamples": 50, "models": ["logistic regression"]},
    "06_experiments": {},
    "08_policies": {"n_slots": 500},
    "09_live_sessions": {"min_group": 3},
}
WORLD = {"n_users": 60, "n_items": 24, "n_days": 21, "seed": 3}
LOOP = {"n_steps": 100, "n_seeds": 3, "loop_users": 40, "n_rounds": 1}
NEED_ORDERS = {"05_sales_conversion", "06_experiments", "08_policies"}
# Where a log is odd in what the notebook asks of it; `make test-all` runs every pair.
TELLING = {
    "00_business": "ordinary_shop no_times no_amounts subscription_shop few_users one_day",
    "01_data_exploration": "one_day one_item empty_columns subscription_shop",
    "02_interest_matrix": "all_zeros one_visit_each no_times one_kind constant_columns",
    "03_user_portraits": "users_alike few_users one_visit_each",
    "04_model_comparison": "one_user_of_zeros only_likes users_alike one_item one_visit_each",
    "05_sales_conversion": "few_users bare_tables no_prices ordinary_shop no_amounts",
    "06_experiments": "few_users bare_tables prices_on_one_kind dates_without_hours",
    "08_policies": "few_users bare_tables prices_on_one_kind",
    "09_live_sessions": "shop few_users no_amounts",
}
QUICK = [(notebook, log) for notebook, logs in TELLING.items() for log in logs.split()]
REST = [pair for pair in product(SMALL, LOGS) if pair not in QUICK]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function: notebook, log -> the run in this process, made once."""
    base, done = tmp_path_factory.mktemp("odd"), {}

    def odd_run(notebook: str, name: str) -> Warm:
        if (notebook, name) not in done:
            tables = LOGS[name]()
            if notebook in NEED_ORDERS and tables.orders is None:
                pytest.skip(f"{name} has no orders: {notebook} is not applicable")
            folder = write(tables, base / name)
            asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1}
            done[notebook, name] = run_warm(
                notebook, base / "out" / name, **asked, **SMALL[notebook]
            )
        return done[notebook, name]

    return odd_run


def check(found: Warm) -> None:
    assert found.warned == []
    assert found.stderr == ""
    undefined = {key for key, value in found.metrics.items() if value is None}
    assert undefined == found.why.keys()


@pytest.mark.parametrize(("notebook", "log"), QUICK)
def test_an_odd_log_makes_a_page(run, notebook, log):
    check(run(notebook, log))


@pytest.mark.slow
@pytest.mark.parametrize(("notebook", "log"), REST)
def test_every_odd_log_makes_a_page(run, notebook, log):
    check(run(notebook, log))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [*SMALL, "07_case_study"])
def test_a_small_simulated_shop_makes_a_page(tmp_path, notebook):
    settings = WORLD | SMALL.get(notebook, {}) | (LOOP if notebook == "08_policies" else {})
    settings |= {} if notebook == "07_case_study" else {"min_events": 1}
    check(run_warm(notebook, tmp_path, **settings))


def test_a_log_that_cannot_be_compared_says_why(run):
    alone = run("04_model_comparison", "one_item")
    assert "a single item, so every list would be the same" in alone.not_applicable
    once = run("04_model_comparison", "one_visit_each")
    assert "nobody has anything to find" in once.not_applicable


def test_what_is_not_defined_is_null_with_its_reason(run):
    found = run("03_user_portraits", "few_users")
    assert found.metrics["segments/split_half_ari"] is None
    assert "no segments were found" in found.why["segments/split_half_ari"]


def test_watch_times_of_zero_count_as_having_met(run):
    """A user whose interest is 0 throughout still has a past to compare a list with."""
    found = run("04_model_comparison", "one_user_of_zeros")
    lifts = [value for key, value in found.metrics.items() if "popularity_lift" in key]
    assert len(lifts) > 5 and all(-1 <= lift < 10 for lift in lifts)


def test_a_model_that_was_not_asked_for_is_never_built(tmp_path):
    """Neither to teach a formula nor to measure others against it."""
    folder = write(LOGS["shop"](), tmp_path / "shop")
    asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1, "n_resamples": 100}
    found = run_warm("04_model_comparison", tmp_path, models={"baseline": {}}, **asked)
    check(found)
    others = re.compile(r"\b(random|content|blend|ease)\b")
    assert [key for key in found.metrics if others.search(key) and "split" not in key] == []
    assert "No trials of ease: " in found.printed


def test_the_kinds_to_recommend_are_a_parameter(tmp_path):
    """A shop that sells books alone may still recommend what leads to them."""
    folder = write(LOGS["prices_on_one_kind"](), tmp_path / "shop")
    asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1, "n_resamples": 100}
    asked |= {"models": {"baseline": {}}, "candidate_kinds": ["live", "short_video"]}
    found = run_warm("04_model_comparison", tmp_path, **asked)
    check(found)
    assert "Only items of the chosen kinds are recommended: live, short_video" in found.printed


def test_a_log_of_zeros_says_that_nobody_shows_interest(run):
    assert "nobody shows any interest" in run("02_interest_matrix", "all_zeros").printed


def test_an_ordinary_shop_gets_its_page_without_exposures(run):
    """Events and orders are enough for who buys; what exposures alone tell is said to lack."""
    found = run("05_sales_conversion", "ordinary_shop")
    assert found.not_applicable == ""
    assert "predicted: a purchase on each course met before" in found.printed
    assert "funnel/shown" not in found.metrics and found.metrics["funnel/ordered"] > 0
    people = [found.metrics[f"people/{step}"] for step in ("watched", "ordered", "ordered_again")]
    assert people == sorted(people, reverse=True) and people[-1] > 0
    assert found.metrics["orders/never_watched"] == 20
    assert found.metrics["hours_to_first_order/median"] > 0
    assert "exposures.treatment" in found.why["uplift/mean_observed"]
    assert found.metrics["logistic_regression/profit_per_1000_rows"] is not None


def test_orders_without_amounts_earn_nothing_that_is_known(run):
    found = run("05_sales_conversion", "no_amounts")
    assert found.not_applicable == ""
    assert "orders.amount" in found.why["logistic_regression/profit_per_1000_rows"]


def test_subscriptions_are_counted_and_foretold_by_person(run):
    found = run("05_sales_conversion", "subscription_shop")
    assert found.not_applicable == ""
    assert "predicted: the first order of each person who watched before" in found.printed
    assert found.metrics["people/ordered"] > 10
    assert found.metrics["hours_to_first_order/median"] > 0
    assert found.metrics["funnel/ordered"] is None
    assert "orders.item_id" in found.why["funnel/ordered"]


def test_a_few_events_without_a_time_leave_the_split_in_time(run):
    found = run("04_model_comparison", "a_few_without_a_time")
    assert found.metrics["split"] == "time"
    assert "events have no time" in found.printed
    check(run("05_sales_conversion", "a_few_without_a_time"))


def test_no_price_no_order_of_expected_revenue(run):
    assert "No price is known" in run("05_sales_conversion", "no_prices").printed
