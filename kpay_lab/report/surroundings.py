"""What a run takes from the machine around it: encoding, home, temporary folders, environment."""

import atexit
import hashlib
import locale
import os
import secrets
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from kpay_lab.report.manifest import THREADS

SOCKET_PATH = 103  # bytes: the least that a Unix system has room for in a socket's path
MEND_TEMPORARY = "free some room there, or set TMPDIR to a folder that can be written"


def use_utf8() -> None:
    """Start this process again in Python's UTF-8 mode where file names have another encoding.

    A notebook's process has that mode; a path would name another file there. The console
    keeps its own encoding.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    console = locale.getencoding()
    os.environ.setdefault("PYTHONIOENCODING", f"{console}:backslashreplace")
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def ensure_home() -> None:
    """Give this process a temporary home where it has none, as in many containers."""
    if usable_home() is None:
        home = tempfile.mkdtemp(prefix="kpay-home-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ["HOME"] = home


def temporary_folder() -> Path:
    """Make the private folder of one notebook, where TMPDIR says or the system's usual place."""
    try:
        return Path(tempfile.mkdtemp(prefix="kpay-"))
    except OSError as error:
        tempfile.tempdir = None  # else Python remembers a folder that may be mended meanwhile
        problem = error.strerror or str(error)
        where = error.filename or "no temporary folder can be used"
        raise ValueError(f"{where}: {problem}; {MEND_TEMPORARY}") from None


def socket_folder(scratch: Path) -> Path:
    """Return the folder of a kernel's sockets: the scratch, or a short path where that is long."""
    if _fits_a_socket(scratch):
        return scratch
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="kpay-", dir=place))
    raise ValueError(
        f"the path of the temporary folder {scratch} is too long for a kernel's sockets; "
        "set TMPDIR to a folder with a shorter path"
    )


def _fits_a_socket(folder: Path) -> bool:
    longest_name = folder / "kernel-100"
    return len(os.fsencode(longest_name)) <= SOCKET_PATH


def child_environment(scratch: Path, admitted: Path | None = None) -> dict[str, str]:
    """Return an environment in which equal notebooks give equal results.

    It holds what is known to be needed and nothing else of the user's. ``admitted`` is where a
    run keeps its data as they may be used; by default they are read from their source.
    """
    inherited = {key: value for key, value in os.environ.items() if _is_needed(key)}
    folders = {
        "HOME": usable_home() or scratch,
        "IPYTHONDIR": scratch / "ipython",
        "JUPYTER_CONFIG_DIR": scratch / "jupyter",
        "JUPYTER_RUNTIME_DIR": scratch,
        "TMPDIR": scratch,
        "XDG_CONFIG_HOME": scratch / "config",
    }
    private = {name: str(folder) for name, folder in folders.items()}
    private["KPAY_PRIVACY_KEY"] = _privacy_key()
    private["KPAY_ADMITTED"] = "" if admitted is None else str(admitted)
    fixed = {
        "JUPYTER_NO_CONFIG": "1",
        "LC_ALL": "C.UTF-8",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }
    return inherited | THREADS | private | fixed


def _is_needed(variable: str) -> bool:
    return variable in _NEEDED or variable.startswith(_NEEDED_PREFIXES)


def usable_home() -> Path | None:
    """Return the user's home, or None where there is none, as in many containers."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_dir() else None


@cache
def _random_key() -> str:
    """Make the key of pseudonyms that the notebooks of this process share; it is never written."""
    return secrets.token_hex(32)


def key_fingerprint() -> str:
    """Return what tells two keys of pseudonyms apart, and gives neither away."""
    labelled = f"kpay_lab fingerprint {_privacy_key()}"
    digest = hashlib.sha256(labelled.encode())
    return digest.hexdigest()[:16]


def _privacy_key() -> str:
    return os.environ.get("KPAY_PRIVACY_KEY") or _random_key()


# Where programs and libraries lie, who calls, and which kernels OpenBLAS picks on a processor
# that it knows wrongly. Clusters, Java and PostgreSQL have settings of their own.
_NEEDED = {
    "PATH",
    "USER",
    "LOGNAME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "JAVA_HOME",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
}
_NEEDED_PREFIXES = ("KPAY_", "PG", "SPARK_", "PYSPARK_", "HADOOP_", "YARN_")
