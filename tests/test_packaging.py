"""What importing laminar costs and changes, and what its wheel holds."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# State of the process that belongs to the user, as one JSON-able value.
GLOBAL_STATE = """
import json, logging, random, sys, warnings
import numpy, pandas, PIL.Image, torch, torchvision, matplotlib

def state():
    return {
        "pandas options": str(pandas.describe_option(_print_desc=False)),
        "pandas names": sorted(vars(pandas.DataFrame)),
        "PIL names": sorted(vars(PIL.Image.Image)),
        "tensor names": sorted(vars(torch.Tensor)),
        "module names": sorted(vars(torch.nn.Module)),
        "warning filters": [str(f) for f in warnings.filters],
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "backends": [torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic],
        "default dtype": str(torch.get_default_dtype()),
        "random": [hash(random.getstate()), int(numpy.random.get_state()[1].sum()), int(torch.get_rng_state().sum())],
        "matplotlib": hash(str(matplotlib.rcParams)),
        "log handlers": len(logging.getLogger().handlers),
        "except hook": str(sys.excepthook),
    }

before = state()
from laminar.vision.all import *
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


def run(program: str, *, cwd: Path | None = None) -> str:
    """Standard output of `program` in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_imported_by(statement: str) -> set[str]:
    return set(json.loads(run(f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")))


def test_every_package_asked_for_is_a_release_from_the_registry_with_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tools = {"dev", "docs", "notebook"}  # of those who work on laminar: newer ones are welcome
    asked = [
        *project["dependencies"],
        *(line for extra, lines in extras.items() if extra not in tools for line in lines),
    ]
    bounded = re.compile(r"[a-zA-Z0-9_.\-]+(\[[a-z,]+\])?>=[\d.]+,(!=[\d.]+,)?<[\d.]+( *;.*)?")
    assert [line for line in asked if not bounded.fullmatch(line)] == []


def test_importing_laminar_alone_imports_nothing_heavy() -> None:
    assert modules_imported_by("import laminar").isdisjoint({"torch", "torchvision", "numpy", "matplotlib", "PIL"})


def test_importing_vision_leaves_slow_and_optional_packages_alone() -> None:
    lazy = {"matplotlib", "matplotlib.pyplot", "pandas", "IPython", "fastprogress", "scipy", "sklearn", "timm"}
    assert modules_imported_by("from laminar.vision.all import *").isdisjoint(lazy)


def test_pandas_comes_with_everything_else_and_is_told_where_it_is_missing() -> None:
    pytest.importorskip("pandas")
    star = "from laminar.vision.all import *\nimport sys\n"
    assert run(star + "print(len(pd.DataFrame({'a': [1, 2]})), 'pandas' in sys.modules)") == "2 True\n"
    missing = "sys.modules['pandas'] = None\ntry:\n    pd.DataFrame\nexcept ImportError as error:\n    print(error)"
    assert run(star + missing).startswith(
        "pandas.DataFrame needs pandas, which is not installed. Run: pip install 'lam"
    )


def test_importing_vision_warns_of_nothing() -> None:
    run("import torch, torchvision\nimport warnings\nwarnings.simplefilter('error')\nfrom laminar.vision.all import *")


def test_importing_vision_changes_no_global_state() -> None:
    pytest.importorskip("pandas")
    assert json.loads(run(GLOBAL_STATE)) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tracked sources, with the build tools already here."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("laminar-*.whl"))


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("laminar/")}
    files = (path for path in (ROOT / "src" / "laminar").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert "laminar/py.typed" in held
    assert any(name.endswith(".safetensors") for name in held)


def test_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Imported straight from the archive's folder, with the checkout off the path."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = "import laminar.demo, laminar.vision.all\nprint(laminar.__file__)"
    assert Path(run(program, cwd=tmp_path).strip()).is_relative_to(tmp_path)
