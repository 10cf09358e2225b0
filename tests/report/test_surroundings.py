"""A user's settings, home and temporary folder change no result and break no run."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import nbformat
import pytest

from kpay_lab.report.manifest import Manifest
from tests.report.shop import KPAY

DRAW = """
import matplotlib.pyplot as plt
from kpay_lab.report.session import Session
session = Session("02_draw", output_dir=output_dir)
fig, ax = plt.subplots()
ax.plot([1, 2, 3])
ax.set_title("a_b 100 %")
session.metric("usetex", plt.rcParams["text.usetex"])
session.metric("linewidth", plt.rcParams["lines.linewidth"])
session.figure("line", fig)
session.save()
"""
VARIABLES = "import os\nprint(sorted(os.environ))"
FAILS = "assert 1 == 2, 'nothing may be lost'"
TEMPORARY = "import tempfile\nprint(tempfile.mkdtemp())"


def folder_of(shop, *arguments, **variables):
    """Run notebooks with variables added to the environment; return the run's folder."""
    assert shop.run(*arguments, environment=variables) == 0, shop.log.read_text()
    return shop.folders()[-1]


def printed(folder, name):
    """Return what the last cell of an executed notebook printed."""
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    return "".join(output.get("text", "") for output in notebook.cells[-1].outputs)


@pytest.mark.slow
def test_matplotlibrc_changes_no_picture(shop):
    shop.project.write("02_draw", DRAW)
    plain = folder_of(shop, "02_draw")
    settings = "text.usetex: True\nlines.linewidth: 9\nsavefig.facecolor: red\nno such line\n"
    home = shop.root / "home"
    places = (home / ".config/matplotlib", shop.root / "notebooks", shop.root)
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "matplotlibrc").write_text(settings)
    own = folder_of(
        shop, "02_draw", HOME=str(home), MATPLOTLIBRC=str(shop.root), MPLCONFIGDIR=str(shop.root)
    )
    assert (own / "metrics.json").read_bytes() == (plain / "metrics.json").read_bytes()
    picture = "02_draw/figures/line.png"
    assert (own / picture).read_bytes() == (plain / picture).read_bytes()
    assert printed(own, "02_draw") == printed(plain, "02_draw")


def test_python_and_ipython_settings_stay_outside(shop):
    startup = shop.root / "home/.ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('from startup'); len = None")
    shop.project.write("02_variables", VARIABLES)
    shop.project.write("03_fails", FAILS)
    settings = {
        "HOME": str(shop.root / "home"),
        "IPYTHONDIR": str(shop.root / "home/.ipython"),
        "PYTHONOPTIMIZE": "1",
        "PYTHONSTARTUP": str(startup / "00.py"),
        "JUPYTER_CONFIG_DIR": str(shop.root),
        "AWS_SECRET_ACCESS_KEY": "secret",
        "MPLBACKEND": "no such backend",
        "TZ": "Asia/Shanghai",
    }
    assert shop.run(environment=settings) == 1
    folder = shop.folders()[-1]
    entries = Manifest.read(folder).notebooks
    assert "nothing may be lost" in entries["03_fails"].reason
    assert entries["02_variables"].status == "ok"
    said = printed(folder, "02_variables")
    assert "from startup" not in said
    for name in ("PYTHONOPTIMIZE", "PYTHONSTARTUP", "AWS_SECRET_ACCESS_KEY"):
        assert name not in said


def in_namespace(shop, script, *flags):
    """Run kpay by a shell script in a Linux namespace of its own, or skip where that is refused."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, *flags, "true"], check=False).returncode:
        pytest.skip("this machine gives no namespace of one's own")
    return subprocess.run(
        [unshare, *flags, "sh", "-c", script, "sh", *KPAY, "run", "--output", str(shop.outputs)],
        cwd=shop.root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_home_and_an_unknown_user(shop):
    """As in a container that runs under a number which /etc/passwd does not know."""
    shop.project.write("02_draw", DRAW)
    done = in_namespace(shop, 'unset HOME USER LOGNAME; exec "$@"', "--user", "--map-user=54321")
    assert done.returncode == 0, done.stderr
    assert Manifest.read(shop.folders()[-1]).status == "ok"


@pytest.fixture
def elsewhere():
    """Give a project outside the temporary folder, which a test makes unusable."""
    folder = Path(tempfile.mkdtemp(prefix="kpay-test-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_temporary_folder_that_cannot_be_written(elsewhere):
    from tests.report.conftest import new_project
    from tests.report.shop import SAVE, Shop

    project = new_project(elsewhere)
    project.write("01_save", SAVE)
    shop = Shop(project)
    read_only = "mount -t tmpfs -o ro tmpfs /tmp"
    own = ("--user", "--map-root-user", "--mount")
    good = elsewhere / "tmp"
    good.mkdir()
    done = in_namespace(shop, f'{read_only} && TMPDIR="{good}" exec "$@"', *own)
    assert done.returncode == 0, done.stderr
    assert list(good.iterdir()) == []


@pytest.mark.slow
def test_temporary_files_lie_in_tmpdir_and_go(shop):
    place = shop.root / "tmp"
    place.mkdir()
    shop.project.write("02_temporary", TEMPORARY)
    folder = folder_of(shop, "02_temporary", TMPDIR=str(place))
    assert printed(folder, "02_temporary").startswith(str(place))
    assert list(place.iterdir()) == []


def test_a_tmpdir_with_a_long_path(shop):
    place = shop.root / ("long" * 40)
    place.mkdir()
    folder = folder_of(shop, "01_save", TMPDIR=str(place))
    assert json.loads((folder / "metrics.json").read_text()) == {"01_save": {"one": 1}}
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_a_tmpdir_that_is_not_there(shop):
    folder_of(shop, "01_save", TMPDIR=str(shop.root / "nowhere"))
