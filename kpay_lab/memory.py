"""How much memory there is, asked before something large takes its own."""

from pathlib import Path

import psutil

GB = 1e9
CGROUP = Path("/sys/fs/cgroup")  # what a container may take, where there is one


def free_memory() -> float:
    """Return how many bytes this process may still take.

    It is the least of what the machine has free, what its container may still take, and what
    the process may still map (``ulimit -v``).
    """
    free = [float(psutil.virtual_memory().available)]
    free += _left_in_container(CGROUP)
    if hasattr(psutil, "RLIMIT_AS"):  # Linux and FreeBSD
        process = psutil.Process()
        limit, _ = process.rlimit(psutil.RLIMIT_AS)
        if limit != psutil.RLIM_INFINITY:
            free.append(limit - process.memory_info().vms)
    return max(min(free), 0.0)


def _left_in_container(folder: Path) -> list[float]:
    """Return what a container's limit leaves in bytes, as one number, or none without a limit.

    >>> _left_in_container(Path("/no/such/folder"))
    []
    """
    limit = folder / "memory.max"
    if not limit.exists():
        return []
    most = limit.read_text().strip()
    if most == "max":
        return []
    used = float((folder / "memory.current").read_text())
    return [float(most) - used + _pages_of_files(folder)]


def _pages_of_files(folder: Path) -> float:
    """Return the bytes of files kept in memory, which the system gives up when asked for more."""
    for line in (folder / "memory.stat").read_text().splitlines():
        name, value = line.split()
        if name == "inactive_file":
            return float(value)
    return 0.0


def lack_of_memory(needed: float, free: float | None = None) -> str:
    """Say that an array takes more memory than there is; the empty text if it does not.

    Parameters
    ----------
    needed : float
        Bytes that it takes.
    free : float, optional
        Bytes that there are; by default `free_memory`.

    >>> lack_of_memory(80e9, free=12e9)
    '80.0 GB of memory are needed and 12.0 GB are free'
    >>> lack_of_memory(1e9, free=12e9)
    ''
    """
    there_is = free_memory() if free is None else free
    if needed <= there_is:
        return ""
    return f"{needed / GB:.1f} GB of memory are needed and {there_is / GB:.1f} GB are free"
