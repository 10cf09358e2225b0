"""The generator that benchmarks measure on writes what it wrote when it was frozen."""

import hashlib
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# SHA-256 of what `kpay simulate --users 60 --items 40 --days 20 --seed 3` wrote that day.
FROZEN = {
    "events": "0b475ea453157c8ef997b1857ebb29cc4f65a3eff2ab5db4f60b7c5b9bb2a877",
    "items": "60f48b35b5f8c68d04b5f124399a1e4235a1b767d5b40ed44174d2fccbc323ed",
    "users": "92cf2c998db2b6f4913cbfecbcfb17fced64a9758a90b9286e0a59bb3b870fc1",
    "orders": "a4c4c9915916e0b31e1cb8224d4634e17632655701160dd32b0604622d80966d",
    "exposures": "7112cb7ad7be9eb7d5ea162c36cda8f7362e95fc6b28dfa113f6e5dc893fbaf4",
}


def test_the_frozen_shop_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from shop.log import write_shop
    from shop.presets import ShopSpec

    write_shop(ShopSpec(n_users=60, n_items=40, n_days=20, seed=3), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(FROZEN)
    for name, known in FROZEN.items():
        assert digest(tmp_path / f"{name}.csv") == known, name


def digest(path):
    """Hash a file, but for the last digits of propensities: they are the processor's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    heads = lines[0].split(",")
    if "propensity" not in heads:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    column = heads.index("propensity")
    kept = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        cells[column] = f"{float(cells[column]):.9f}"
        kept.append(",".join(cells))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()
