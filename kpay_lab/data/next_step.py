"""What to do after a log was looked at: the profile to write, and the next command."""

import shlex
from dataclasses import replace
from pathlib import Path

from kpay_lab.data.mapping import LogMapping
from kpay_lab.data.rows import printable
from kpay_lab.data.terminal import wrapped
from kpay_lab.data.understood import Understanding

FEWEST_EVENTS = 1000  # the notebooks' own min_events
NAME = "mine.yaml"


def profile_text(understood: Understanding, mapping: LogMapping) -> str:
    """Return a profile with what was said and what is proposed; open questions are comments."""
    proposal = understood.proposal
    if not proposal.said:
        proposal = replace(proposal, said=mapping.as_dict())
    name = printable(Path(understood.source).name)
    lines = [f"# What the files of {name} mean, as kpay check proposed it."]
    for question in proposal.questions:
        lines += wrapped(printable(question, 600), first="# ? ", rest="#   ")
    return "\n".join([*lines, proposal.as_yaml()])


def next_step(
    understood: Understanding,
    profile: str | None = None,
    written: Path | None = None,
    folder: Path = Path("params"),
) -> str:
    """Return the line that says what to do next.

    Parameters
    ----------
    understood : Understanding
    profile : str, optional
        The profile whose mapping was used.
    written : Path, optional
        The profile that was just written.
    folder : Path
        Where the project keeps its profiles.
    """
    source = shlex.quote(understood.source)
    proposal = understood.proposal
    if written is not None:
        is_there = written.resolve().parent == folder.resolve()
        check = f"kpay check {source} --profile {_profile_of(written)}"
        if not understood.is_sound_as_proposed:
            moved = "" if is_there else f", move it into {folder}"
            return f"Next: complete {written}{moved}, then {check}"
        moved = "" if is_there else f"move it into {folder}, then "
        run = _run(understood, _profile_of(written))
        return f"Next, to see what it reads and assumes: {moved}{check}\n  and then: {run}"
    used = f" --profile {profile}" if profile else ""
    write = f"kpay check {source}{used} --write {shlex.quote(str(folder / NAME))}"
    if understood.is_sound and proposal.said:
        return f"Next: {write}\n  or, without what is proposed: {_run(understood, profile)}"
    if understood.is_sound:
        return f"Next: {_run(understood, profile)}"
    if proposal.said:
        return f"Next: {write}"
    return f"Next: mend the files as said above, then kpay check {source}{used}"


def _run(understood: Understanding, profile: str | None) -> str:
    best = understood.tried if understood.tried is not None else understood
    n_events = best.n_events or understood.n_events
    used = f" --profile {profile}" if profile else ""
    few = f" --set min_events={n_events}" if n_events < FEWEST_EVENTS else ""
    return f"kpay run --data {shlex.quote(understood.source)}{used}{few}"


def _profile_of(path: Path) -> str:
    return shlex.quote(path.stem)
