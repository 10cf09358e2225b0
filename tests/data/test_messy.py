"""What people export is read back as what it was: every table, row, cell and note."""

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpay_lab.data.door import read_log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.world.messy import messy_shop
from kpay_lab.world.presets import WorldSpec

WHERE = ["table", "file", "line", "column", "outcome"]


def differences(shop, folder):
    """Say in what a log that is read differs from the truth."""
    log = read_log(folder / "log", mapping=LogMapping.of(folder / "mapping.yaml"))
    found = []
    read = log.tables.present()
    true = shop.tables.present()
    if [*read] != [*true]:
        found.append(f"the tables are {[*read]}, not {[*true]}")
    for table in read.keys() & true.keys():
        try:
            pd.testing.assert_frame_equal(
                read[table], true[table], check_exact=False, rtol=1e-9, check_like=True
            )
        except AssertionError as error:
            found.append(f"{table}: {error}")
    counts = log.rejected.counts
    if set(counts.itertuples(index=False)) != set(shop.counts.itertuples(index=False)):
        found.append(f"the counts are\n{counts}\nnot\n{shop.counts}")
    places = set(log.rejected.evidence()[WHERE].itertuples(index=False, name=None))
    true_places = set(shop.evidence[WHERE].itertuples(index=False, name=None))
    found += [f"not found: {place}" for place in sorted(true_places - places)]
    found += [f"found beside: {place}" for place in sorted(places - true_places)]
    for words in shop.notes:
        if not any(words in note for note in log.notes):
            found.append(f"no note has {words!r}")
    return found


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6))
def test_a_messy_shop_is_read_back(tmp_path_factory, seed):
    shop = messy_shop(WorldSpec(n_users=60, n_items=20, n_days=14, seed=seed % 7), seed)
    folder = tmp_path_factory.mktemp("shop")
    shop.write(folder)
    assert differences(shop, folder) == []
