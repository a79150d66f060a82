"""The rules of the house: who may import whom, and what must not be there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "rspnet_core": ROOT / "rspnet_core",
    "rspnet_platform": ROOT / "platform" / "rspnet_platform",
    "jobs": ROOT / "jobs",
}
NO_JOBS = {"recipes.py", "searches.py"}
"""What jobs read."""
FORBIDDEN = {
    "rspnet_core": {
        "rspnet_platform",
        "jobs",
        "tests",
        "ray",
        "mlflow",
        "av",
        "decord",
        "pyarrow",
        "fsspec",
        "s3fs",
        "cv2",
    },
    "rspnet_platform": {"jobs", "tests"},
    "jobs": {"tests", "ray", "mlflow"},
}


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package):
    """tests -> jobs -> rspnet_platform -> rspnet_core, and the core knows no platform library."""
    files = list(PACKAGES[package].rglob("*.py"))
    assert files
    wrong = {str(path): imported_packages(path) & FORBIDDEN[package] for path in files}
    assert not {path: names for path, names in wrong.items() if names}


def test_mlflow_is_imported_in_tracking_alone():
    """One place knows the tracking library."""
    platform = PACKAGES["rspnet_platform"]
    users = {
        path.relative_to(platform).parts[0] for path in platform.rglob("*.py") if "mlflow" in imported_packages(path)
    }
    assert users == {"tracking"}


@pytest.mark.parametrize("folder", ["platform", "tests", "tests/core", "tests/orchestration", "tests/end_to_end"])
def test_no_package_where_none_may_be(folder):
    """`platform/__init__.py` would shadow the standard library's platform and hang Ray workers."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_standard_platform_module_is_found_from_the_checkout():
    """With the checkout first on the path, `import platform` is still Python's own."""
    code = "import platform; assert platform.system(), platform"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("package", PACKAGES)
def test_files_hold_one_idea(package):
    """A file of more than 400 lines holds more than one."""
    assert not [str(path) for path in PACKAGES[package].rglob("*.py") if len(path.read_text().splitlines()) > 400]


@pytest.mark.parametrize("name", ["utils.py", "helpers.py", "common.py", "misc.py"])
def test_no_drawer_for_leftovers(name):
    """Each thing has a room that says what it is."""
    assert not [path for folder in PACKAGES.values() for path in folder.rglob(name)]


@pytest.mark.parametrize("job", sorted({path.name for path in (ROOT / "jobs").glob("*.py")} - NO_JOBS))
def test_help_needs_nothing_heavy(job):
    """`--help` answers at once because neither torch nor Ray nor MLflow is imported for it."""
    code = (
        "import sys, runpy\n"
        f"sys.argv = [{job!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'jobs' / job)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code in (0, None), end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'pyarrow', 'av', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
