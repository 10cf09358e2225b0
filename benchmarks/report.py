"""What was measured, kept as JSON beside the logs, and RESULTS.md made from all of it."""

import json
import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import linear_regression, median

from logs import CACHE
from table import (
    GROWTH,
    MOST_EXPONENT,
    MOST_MEMORY,
    MOST_SECONDS,
    READING,
    READING_MISSES,
    SHOPS,
    STEPS,
    Step,
)

HERE = Path(__file__).parent
KEPT = CACHE / "measured.json"
PACKAGES = ("numpy", "scipy", "pandas", "duckdb", "pyarrow", "implicit")
TITLES = (
    "step | size | peer | peer s | ours s | ratio (spread) | aim | memory MB peer, ours | "
    "ours ÷ floor | held together"
)


@dataclass(frozen=True)
class Line:
    """The rounds of one step by way, and what its check said."""

    step: Step
    found: dict
    checked: str


def keep(line, repeats):
    """Remember the medians and the spread of a step."""
    middle = {
        f"{way}_{key}": median(run[key] for run in runs)
        for way, runs in line.found.items()
        for key in ("cpu", "seconds", "extra")
    }
    rounds = zip(line.found["peer"], line.found["ours"], strict=True)
    ratios = sorted(peer["cpu"] / ours["cpu"] for peer, ours in rounds)
    spread = {"low": ratios[0], "high": ratios[-1], "repeats": repeats, "load": os.getloadavg()[0]}
    _remember(f"{line.step.module}-{line.step.size}", middle | spread | {"checked": line.checked})


def keep_growth(found, sizes):
    """Remember and draw how the matrix step grows with the log."""
    import matplotlib.pyplot as plt

    _remember("growth", found)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    units = ("processor seconds", "peak memory, MB")
    for axis, key, unit in zip(axes, ("cpu", "peak"), units, strict=True):
        for engine, of_engine in found.items():
            millions = [sizes[size] for size in of_engine]
            axis.plot(millions, [each[key] for each in of_engine.values()], "o-", label=engine)
        axis.set(xlabel="million events", ylabel=unit, xlim=(0, None), ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.suptitle("From a Parquet log to the interest matrix")
    figure.savefig(HERE.parent / "docs" / "growth.png", dpi=120)


def growth_lines(found):
    """Write how the matrix step grows with the log, engine beside engine."""
    lines = ["", "## Growth of the matrix step", ""]
    lines.append("| million events | " + " | ".join(f"{name} s | peak MB" for name in found) + " |")
    lines.append("|---" * (1 + 2 * len(found)) + "|")
    for size, millions in GROWTH.items():
        cells = [f"{of[size]['cpu']:.1f} | {of[size]['peak']:,.0f}" for of in found.values()]
        lines.append(f"| {millions} | {' | '.join(cells)} |")
    return [*lines, "", "![time and memory](../docs/growth.png)"]


def keep_reading(pairs, n_rows):
    """Remember the seconds of reading a log: for each line the pairs of peer and ours."""
    _remember("reading", {"pairs": pairs, "rows": n_rows, "load": os.getloadavg()[0]})


def reading_lines(found):
    """Write the lines of reading a log."""
    lines = ["", "## Reading a log", ""]
    lines.append(
        f"`python benchmarks/read_csv.py`: {found['rows']:,} events of eight columns with users "
        "and items, all ids checked; processor seconds, and the median of the ratios within a "
        "round."
    )
    lines += [
        "",
        "| reading | beside it s | s | ratio (spread) | aim, at most |",
        "|---|---|---|---|---|",
    ]
    for line in READING:
        pairs = found["pairs"][line.name]
        ratios = sorted(ours / peer for peer, ours in pairs)
        peer = median(each[0] for each in pairs)
        ours = median(each[1] for each in pairs)
        spread = f"**{median(ratios):.2f}** ({ratios[0]:.2f}–{ratios[-1]:.2f})"
        lines.append(f"| {line.name} | {peer:.2f} | {ours:.2f} | {spread} | {line.aim} |")
    return [*lines, "", READING_MISSES]


def keep_catalogue(rows):
    """Remember and draw quality and cost of each model against the number of items."""
    import matplotlib.pyplot as plt

    found = {"rows": rows, "load": os.getloadavg()[0]}
    _remember("catalogue", found)
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    titles = {"ndcg": "NDCG@10", "cpu": "processor seconds", "extra": "peak memory, MB"}
    for way in dict.fromkeys(row["way"] for row in rows):
        answered = [row for row in rows if row["way"] == way and not row["refused"]]
        style = {"color": "black", "linestyle": "--"} if way == "peer" else {}
        label = "implicit, item cosine" if way == "peer" else way
        for axis, key in zip(axes, titles, strict=True):
            sizes = [row["items"] for row in answered]
            axis.plot(sizes, [row[key] for row in answered], marker="o", label=label, **style)
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        axis.set(xlabel="items", ylabel=title, xscale="log")
        axis.set_yscale("linear" if key == "ndcg" else "log")
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle("Fit and ten items for 500 users; a line ends where a model refuses")
    figure.savefig(HERE.parent / "docs" / "catalogue.png", dpi=120)
    plt.close(figure)
    return found


def catalogue_lines(found):
    """Write the table of models against the number of items, as ratios to the peer."""
    lines = ["", "## The size of the catalogue", ""]
    lines.append(
        "`python benchmarks/catalogue.py`: 10,000 users, 400,000 events; fit and ten items for "
        "500 users, next to implicit's item-to-item cosine in the same run. Load average at the "
        f"end: {found['load']:.1f}."
    )
    lines += [
        "",
        "| items | model | NDCG@10 | ÷ peer | s | ÷ peer | memory MB | ÷ peer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    peers = {row["items"]: row for row in found["rows"] if row["way"] == "peer"}
    for row in found["rows"]:
        start = f"| {row['items']:,} | {row['way']}"
        if row["refused"]:
            lines.append(f"{start} | refused: {row['refused']} | | | | | |")
            continue
        peer = peers[row["items"]]
        cells = [f"{row['ndcg']:.3f}", f"{row['ndcg'] / peer['ndcg']:.2f}"]
        cells += [f"{row['cpu']:.1f}", f"{row['cpu'] / peer['cpu']:.1f}"]
        cells += [f"{row['extra']:,.0f}", f"{row['extra'] / peer['extra']:.1f}"]
        lines.append(f"{start} | {' | '.join(cells)} |")
    return [*lines, "", "![quality and cost](../docs/catalogue.png)"]


def keep_notebook(row):
    """Remember what one notebook took on one shop, in place of what was known of it."""
    known = _notebook_rows()
    others = [each for each in known if (each["run"], each["users"]) != (row["run"], row["users"])]
    rows = sorted([*others, row], key=lambda each: (each["run"], each["users"]))
    _remember("notebooks", {"rows": rows, "load": os.getloadavg()[0]})


def _notebook_rows():
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return known.get("notebooks", {"rows": []})["rows"]


def notebook_cells(row):
    """Write what one notebook took on one shop, in words for a line of the console."""
    cells = [row["run"], f"{row['users']:,} users", _taken(row)]
    cells.append(f"around it {row['around_cpu']:.1f} s, {row['around_peak']:,.0f} MB")
    return cells


def _taken(row):
    """Write seconds and memory of a notebook, or how it ended where that is not well."""
    if row["status"] != "ok":
        return f"{row['status']}: {row['reason']}"
    return f"{row['cpu']:.1f} s, {row['peak']:,.0f} MB"


def exponent(rows):
    """Return the slope of log seconds over log users; None where fewer than two sizes ended well.

    The seconds with which every process starts are in them.
    """
    done = [row for row in rows if row["status"] == "ok"]
    if len(done) < 2:
        return None
    users = [math.log(row["users"]) for row in done]
    seconds = [math.log(row["cpu"]) for row in done]
    return linear_regression(users, seconds).slope


def draw_notebooks():
    """Draw seconds and memory of each notebook against the users of the shop."""
    import matplotlib.pyplot as plt

    rows = [row for row in _notebook_rows() if row["status"] == "ok"]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    titles = {"cpu": "processor seconds", "peak": "peak memory, MB"}
    for name in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == name]
        users = [row["users"] for row in of_run]
        for axis, key in zip(axes, titles, strict=True):
            axis.plot(users, [row[key] for row in of_run], marker="o", label=name)
    for axis, title in zip(axes, titles.values(), strict=True):
        axis.set(xlabel="users", ylabel=title, xscale="log", yscale="log")
        axis.set_xticks(SHOPS, [f"{size:,}" for size in SHOPS])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle("Each notebook in its own process, 3,000 items and 180 days")
    figure.savefig(HERE.parent / "docs" / "notebooks.png", dpi=120)
    plt.close(figure)


def notebook_lines(found):
    """Write the table of notebooks against the users of a shop, and what was missed."""
    rows = found["rows"]
    lines = ["", "## Notebooks on a growing shop", ""]
    lines.append(
        "`python benchmarks/notebooks.py`: one `kpay run` a line and size, on shops of 3,000 items "
        "and 180 days that a frozen generator writes (140 events a user, 180 exposures). "
        "Processor seconds and peak memory are those of the notebook's own processes; the last "
        "line is what a run takes around it: it reads the log once, and writes the pages. "
        f"Load average at the end: {found['load']:.1f}."
    )
    heads = " | ".join(f"{size:,} users" for size in SHOPS)
    lines += ["", f"| notebook | {heads} | exponent of time |", "|---" * (len(SHOPS) + 2) + "|"]
    for name in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == name]
        slope = exponent(of_run)
        cells = [_cell(of_run, size) for size in SHOPS]
        cells.append("" if slope is None else f"{slope:.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    around = [_around([row for row in rows if row["users"] == size]) for size in SHOPS]
    lines += [f"| around a notebook, median | {' | '.join(around)} | |", ""]
    misses = [f"- {miss}" for miss in _notebook_misses(rows)]
    lines += misses or ["Every line is at its aim."]
    return [*lines, "", "![time and memory of the notebooks](../docs/notebooks.png)"]


def write_notebooks():
    """Write the section of notebooks into RESULTS.md, and leave its other sections as they are."""
    page = HERE / "RESULTS.md"
    known = json.loads(KEPT.read_text())
    section = "\n".join(notebook_lines(known["notebooks"])[1:])
    heading = section.partition("\n")[0]
    before, _, rest = page.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    _, next_heading, after = rest.partition("\n## ")
    page.write_text(f"{before.rstrip()}\n\n{section}\n{next_heading}{after}", encoding="utf-8")
    print(section)


def _cell(of_run, size):
    taken = [_taken(row) for row in of_run if row["users"] == size]
    return taken[0] if taken else "not measured"


def _around(rows):
    if not rows:
        return ""
    seconds = median(row["around_cpu"] for row in rows)
    peak = median(row["around_peak"] for row in rows)
    return f"{seconds:.1f} s, {peak:,.0f} MB"


def _notebook_misses(rows):
    for row in rows:
        what = f"{row['run']} on {row['users']:,} users"
        if row["status"] not in ("ok", "not applicable"):
            yield f"{what}: {_taken(row)}"
        most = MOST_MEMORY.get(row["users"], math.inf)
        highest = max(row["peak"], row["around_peak"])
        if highest > most:
            yield f"{what}: {highest:,.0f} MB, aim at most {most:,}"
        most = MOST_SECONDS.get((row["run"], row["users"]), math.inf)
        if row["cpu"] > most:
            yield f"{what}: {row['cpu']:.1f} s, aim at most {most}"
    for name in dict.fromkeys(row["run"] for row in rows):
        slope = exponent([row for row in rows if row["run"] == name])
        if slope is not None and slope > MOST_EXPONENT:
            yield f"{name}: exponent of time {slope:.2f}, aim at most {MOST_EXPONENT}"


def write():
    """Write RESULTS.md from all that was ever measured here."""
    known = json.loads(KEPT.read_text())
    lines = ["# Benchmarks", "", _about(), "", _machine(known), "", "## The table", ""]
    lines += [f"| {TITLES} |", "|---" * (TITLES.count("|") + 1) + "|"]
    done = [(step, known[key]) for step in STEPS if (key := f"{step.module}-{step.size}") in known]
    lines += [_row(step, each) for step, each in done]
    lines += [
        "",
        "Floors: " + "; ".join(dict.fromkeys(f"{s.name}: {s.floor}" for s in STEPS)) + ".",
    ]
    lines += ["", "## What was missed", ""]
    misses = [f"- {miss}" for step, each in done for miss in _misses(step, each)]
    lines += misses or ["Nothing: every line is at its aim."]
    if "growth" in known:
        lines += growth_lines(known["growth"])
    if "reading" in known:
        lines += reading_lines(known["reading"])
    if "catalogue" in known:
        lines += catalogue_lines(known["catalogue"])
    if "notebooks" in known:
        lines += notebook_lines(known["notebooks"])
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _about():
    return (
        "`make bench` measures all of it anew and rewrites this page. Each measurement is a fresh "
        "process at one thread; peer and ours alternate. Seconds are those of the processor "
        "(median), which other work on the machine disturbs less than the clock; memory is the "
        "peak above what imports and inputs hold. The logs are seeded: S 6,000 users × 3,700 "
        "items, 1 million events; M 100,000 × 10,000, 10 million."
    )


def _machine(known):
    loads = [each["load"] for each in known.values() if "load" in each]
    rounds = sorted({each["repeats"] for each in known.values() if "repeats" in each})
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory():.0f} GB; Python "
        f"{platform.python_version()}, {packages}. Rounds: {', '.join(map(str, rounds))}. Load "
        f"average while measuring: {min(loads):.1f} to {max(loads):.1f} (one is ours)."
    )


def _processor():
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _row(step, each):
    ratio = each["peer_cpu"] / each["ours_cpu"]
    floor = each["ours_cpu"] / each["floor_cpu"]
    return (
        f"| {step.name} | {step.size} | {step.peer} | {each['peer_cpu']:.2f} | "
        f"{each['ours_cpu']:.2f} | **{ratio:.1f}** ({each['low']:.1f}–{each['high']:.1f}) | "
        f"{_aims(step)} | {each['peer_extra']:.0f}, {each['ours_extra']:.0f} | {floor:.1f} | "
        f"{each['checked']} |"
    )


def _aims(step):
    aims = [f"{step.aim:g}×"]
    aims += [f"memory ≤ {step.memory:.2g} of the peer's"] if step.memory else []
    aims += [f"≤ {step.of_floor:g} floors"] if step.of_floor else []
    return ", ".join(aims)


def _misses(step, each):
    shares = [("ratio", each["peer_cpu"] / each["ours_cpu"], step.aim, "least")]
    shares.append(("memory share", each["ours_extra"] / each["peer_extra"], step.memory, "most"))
    shares.append(("floors", each["ours_cpu"] / each["floor_cpu"], step.of_floor, "most"))
    for what, value, aim, way in shares:
        if aim and (value < aim if way == "least" else value > aim):
            short = f"{what} {value:.2f}, aim at {way} {aim:.2g}"
            yield f"{step.name} ({step.size}): {short}. {step.why}".rstrip()


def _remember(key, value):
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(json.dumps(known | {key: value}))
