"""The project's frame: pins, wheel, tracked files, notebooks, and the check that CI ends with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
PINNED = {canonicalize_name(Requirement(pin).name) for pin in PINS}


def git_files(*patterns: str) -> list[Path]:
    """Files that are in git, or would be with `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def required(*groups: str) -> set[str]:
    """Names of what pyproject.toml asks for directly: to run, and by these groups."""
    asked = PROJECT["project"]["dependencies"] + [
        line for group in groups for line in PROJECT["dependency-groups"][group] if isinstance(line, str)
    ]
    return {canonicalize_name(Requirement(line).name) for line in asked}


# --- pins ------------------------------------------------------------------------------------------------------------


def test_every_constraint_is_one_exact_version() -> None:
    assert all(re.fullmatch(r"==[\w.+!-]+", str(Requirement(pin).specifier)) for pin in PINS)


def test_every_direct_dependency_is_pinned() -> None:
    assert required("test", "lint", "dev") <= PINNED


def test_environment_yml_has_the_pins_and_the_kit_itself() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, last = environment["dependencies"]
    *pins, kit = last["pip"]

    assert conda == ["python=3.11", "pip"]
    assert kit == "-e ."
    # The markers differ where only the tests need a package on all systems.
    assert {pin.partition(" ;")[0] for pin in pins} <= {pin.partition(" ;")[0] for pin in PINS}
    assert required() <= {canonicalize_name(Requirement(pin).name) for pin in pins}


# --- what is tracked -------------------------------------------------------------------------------------------------


def test_no_file_names_a_package_registry() -> None:
    registry = re.compile(rb"pypi[.]org|pythonhosted[.]org|registry[.](npmjs|yarnpkg)|deb[.]debian[.]org")

    assert [path for path in git_files() if registry.search(path.read_bytes())] == []


def test_notebooks_have_no_output_and_no_widget_state() -> None:
    notebooks = git_files("notebooks/*.ipynb")

    assert notebooks
    for path in notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert "widgets" not in notebook["metadata"], path
        for cell in notebook["cells"]:
            assert not cell.get("outputs"), (path, cell["source"])
            assert cell.get("execution_count") is None, (path, cell["source"])


# --- the wheel -------------------------------------------------------------------------------------------------------


def test_wheel_carries_the_whole_package_and_nothing_else(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    package = {name for name in names if name.startswith("durable_demo/")}
    dist_info = f"durable_demo-{PROJECT['project']['version']}.dist-info"
    assert package == {path.relative_to(ROOT).as_posix() for path in git_files("durable_demo")}
    assert {name.partition("/")[0] for name in names} == {"durable_demo", dist_info}  # no top-level `worker`
    assert {".py", ".js", ".css"} <= {Path(name).suffix for name in package}
    assert f"{dist_info}/licenses/LICENSE" in names


# --- CI --------------------------------------------------------------------------------------------------------------


def left_behind(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci/left_behind.py"), str(directory), "0.1"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_ci_finds_and_ends_a_detached_process_that_was_left_behind(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], env={"TMPDIR": str(tmp_path)}, start_new_session=True)
    try:
        checked = left_behind(tmp_path)

        assert checked.returncode == 1
        assert f"left behind: {sleeper.pid} sleep 60" in checked.stdout
        assert sleeper.wait(timeout=60) < 0
    finally:
        sleeper.kill()
        sleeper.wait(timeout=60)


def test_ci_is_content_when_nothing_was_left_behind(tmp_path: Path) -> None:
    checked = left_behind(tmp_path)

    assert (checked.returncode, checked.stdout) == (0, "none\n")
