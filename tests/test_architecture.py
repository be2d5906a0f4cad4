"""The house rules as tests: sizes, direction of imports, a light door, a public face that changes on purpose."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import automl

ROOT = Path(__file__).parent.parent
PACKAGES = ("automl", "search_spaces", "cluster")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

FILE_LINES, FUNCTION_LINES, PARAMETERS, CLASS_DEPTH = 400, 60, 6, 2
HEAVY = ("torch", "ray", "optuna", "sklearn", "pandas", "numpy", "lightgbm", "xgboost", "catboost", "scipy", "pyarrow")


@functools.cache
def tree(path: Path) -> ast.Module:
    """A source, read once for all tests here."""
    return ast.parse(path.read_text())


@functools.cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    """No file, function or parameter list outgrows its room."""
    assert len(path.read_text().splitlines()) <= FILE_LINES
    for function in functions(path):
        docstring = ast.get_docstring(function, clean=False) or ""
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1 - len(docstring.splitlines())
        assert lines <= FUNCTION_LINES, f"{function.name} has {lines} lines"
        named = [a.arg for a in [*function.args.posonlyargs, *function.args.args] if a.arg not in ("self", "cls")]
        assert len(named) <= PARAMETERS, f"{function.name} takes {len(named)} parameters"


def test_files_are_short_on_the_whole() -> None:
    """The median file is about a page or three, and nine of ten are below 300 lines."""
    lengths = sorted(len(path.read_text().splitlines()) for path in SOURCES)
    assert median(lengths) <= 200
    assert lengths[int(0.9 * len(lengths))] <= 300


def test_every_function_is_annotated_and_every_module_says_what_it_is() -> None:
    """Types and a docstring everywhere."""
    for path in SOURCES:
        assert ast.get_docstring(tree(path)), f"{path} has no docstring"
        for function in functions(path):
            assert function.returns is not None, f"{path}: {function.name} does not say what it returns"


def test_a_class_name_has_one_meaning() -> None:
    """No two public classes of the house are called the same."""
    found = [node.name for path in SOURCES for node in ast.walk(tree(path))
             if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]  # fmt: skip
    assert sorted(name for name in set(found) if found.count(name) > 1) == []


def test_the_top_of_the_house_is_a_table_of_contents() -> None:
    """At most ten files; all else is in a room."""
    assert len(list((ROOT / "automl").glob("*.py"))) <= 10


def test_only_the_kinds_of_data_ask_which_kind_it_is() -> None:
    """No stage compares a modality or the kind of a block; it asks the mixture."""
    asked = re.compile(r"modality [!=]=|\.sensed\b|\beats\b|\.kind [!=]= \"(image|audio)\"|== \"(image|audio)\"")
    outside = [path for path in (ROOT / "automl").rglob("*.py") if "modalities" not in path.parts]
    assert [str(path) for path in outside if asked.search(path.read_text())] == []


def test_records_of_many_fields_are_built_by_keyword() -> None:
    """Two numbers that changed places would pass the type checker."""
    files = (ROOT / "automl" / "records").glob("*.py")
    for node in (node for path in files for node in tree(path).body):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(one) for one in node.decorator_list):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            assert len(fields) <= 5 or "kw_only=True" in ast.unparse(node.decorator_list[0]), node.name


def test_no_work_is_left_for_later() -> None:
    """A thing to do is an issue, not a comment."""
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    for path in [*SOURCES, *(ROOT / "tests").glob("*.py")]:
        assert not any(word in path.read_text() for word in words), path


def test_importing_the_door_loads_nothing_heavy() -> None:
    """A bare import is fast because it loads no library that it does not need."""
    code = f"import sys, automl; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_asking_for_help_loads_nothing_heavy() -> None:
    """`automl --help` answers without loading data or learning libraries."""
    code = (
        "import sys, contextlib, io\nfrom automl.doors.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['fit', '--help'])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_workers_are_on_their_way_before_anything_heavy_is_loaded() -> None:
    """The budget counts from the call: workers import beside the process that asked for them, not after it."""
    code = (
        "import sys, automl\n"
        "automl.fit\n"
        "from automl.runtime.workplace import preload\n"
        "assert 'lightgbm' in preload(automl.Options.of({'target': 'y'}))\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules and m != 'numpy'])"
    )
    assert run_python(code) == "[]"


def test_the_public_face_is_this() -> None:
    """A name joins or leaves the public face on purpose."""
    assert sorted(automl.__all__) == [
        "AutoMLClassifier", "AutoMLRegressor", "AutomlError", "Budget", "Client", "Model", "Options", "Result",
        "__version__", "audit", "fit", "load", "monitor", "profile", "quote", "refit", "resume",
    ]  # fmt: skip
    for name in automl.__all__:
        assert getattr(automl, name) is not None


def test_an_unknown_public_name_is_refused_with_the_known_ones() -> None:
    """A typing error on the package is answered with the names there are."""
    with pytest.raises(AttributeError, match=r"Public names: .*fit"):
        _ = automl.fti


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()
