"""The rules of the house, as tests."""

import ast
import collections
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from db.kinds import STAGES, queue_of, task_name

ROOT = Path(__file__).parents[1]
PACKAGES = ["kompress", "db", "worker", "api"]
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)
FILES = sorted(
    path
    for folder in [*PACKAGES, "tests", "migrations", "benchmarks", "docker"]
    for path in (ROOT / folder).rglob("*.py")
)


def ids(path):
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_600_lines():
    long = {ids(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 600}

    assert long == {}


def functions_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_longer_than_50_lines():
    # A training loop reads best whole.
    exempt = {("kompress/training/train.py", "train")}
    long = {
        (ids(path), node.name): size
        for path in MODULES
        for node in functions_of(path)
        if (size := node.end_lineno - node.lineno + 1) > 50
        and (ids(path), node.name) not in exempt
    }

    assert long == {}


def test_a_public_class_name_means_one_thing():
    # A row of the database and the value that it stores are the same thing.
    places = collections.defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name[0] != "_":
                layer = "rows" if path.is_relative_to(ROOT / "db/models") else "values"
                places[node.name, layer].append(ids(path))

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def imports_of(path, modules):
    """Modules of ours that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules.keys()


def test_no_chain_of_imports_is_longer_than_14_modules():
    modules = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules[".".join(p for p in parts if p != "__init__")] = path
    graph = {name: imports_of(path, modules) - {name} for name, path in modules.items()}

    order = list(graphlib.TopologicalSorter(graph).static_order())

    depth = {}
    for name in order:
        depth[name] = 1 + max((depth[below] for below in graph[name]), default=0)
    assert {name: n for name, n in depth.items() if n > 14} == {}


@pytest.mark.parametrize("package", ["kompress", "db", "worker"])
def test_only_the_people_s_side_names_commands(package):
    # What to do is said where an error is raised; by which command, in api.
    command = re.compile(r"`farm [a-z]+[ `]")
    naming = [
        f"{ids(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == package
        # What a model card says is read where the student is shipped.
        and path.name != "model_card.py"
        for node in strings_of(path)
        if command.search(node.value)
    ]

    assert naming == []


def strings_of(path):
    """String constants that are no docstrings, f-strings in parts."""
    tree = ast.parse(path.read_text())
    holders = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docs = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, holders)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and node not in docs:
            yield node


def test_every_test_file_mirrors_a_module():
    # Tests of a whole package or of its data stand under its own name.
    whole = {
        "tests/kompress/voters/test_voters.py",
        "tests/kompress/aggregation/test_aggregation.py",
        "tests/kompress/aggregation/test_oracles.py",
        "tests/kompress/corpora/test_dense_texts.py",
        "tests/kompress/corpora/generators/test_generate.py",
        "tests/db/test_migrations.py",
        "tests/db/test_sql_files.py",
    }
    orphans = [
        ids(test)
        for package in PACKAGES
        for test in (ROOT / "tests" / package).rglob("test_*.py")
        if ids(test) not in whole
        and not any(
            (ROOT / test.relative_to(ROOT / "tests").with_name(name)).exists()
            for name in (test.name[5:], test.name[5:-3], test.name[5:-3] + "_v01.sql")
        )
    ]

    assert orphans == []


@pytest.mark.slow
@pytest.mark.parametrize("package", ["db", "api"])
def test_a_light_process_does_not_load_torch(package):
    code = (
        f"import pkgutil, sys, {package} as p\n"
        f"for m in pkgutil.walk_packages(p.__path__, '{package}.'):\n"
        "    if not m.name.endswith('__main__'): __import__(m.name)\n"
        "sys.exit('torch' in sys.modules)"
    )

    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=False
    )

    assert process.returncode == 0


@pytest.mark.slow
def test_a_worker_without_a_model_does_not_load_torch():
    code = (
        "import sys\n"
        "for name in ('select', 'teach', 'escalate', 'aggregate', 'judge'):\n"
        "    __import__('worker.stages.' + name)\n"
        "sys.exit('torch' in sys.modules)"
    )

    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=False
    )

    assert process.returncode == 0


def test_tests_have_no_init_files():
    # tests/db/__init__.py would make `import db` find the tests.
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_sql_is_written_only_in_db(path):
    if path.relative_to(ROOT).parts[0] == "db":
        return
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("sqlalchemy")
        and node.module != "sqlalchemy.exc"
        for alias in node.names
    }

    assert names <= {"Session", "Engine", "sessionmaker"}


def test_nothing_commits_but_the_session_factory():
    assert [ids(p) for p in MODULES if ".commit(" in p.read_text()] == []


def test_no_stage_opens_a_session():
    # The runner does, and none is open while a stage computes, adds or finishes.
    makes = {"sessions", "sessionmaker", "make_sessions", "begin", "Session"}
    opened = [
        f"{ids(path)}:{node.lineno}"
        for path in sorted((ROOT / "worker" / "stages").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        # `Session` stands in signatures; nobody calls it.
        if (isinstance(node, ast.Attribute) and node.attr in makes)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in makes)
    ]

    assert opened == []


def test_a_session_is_handed_to_what_reads_and_stores_alone():
    # compute, add and finish get none.
    handed = [
        f"{ids(path)}:{node.name}"
        for path in sorted((ROOT / "worker" / "stages").glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and node.name in ("compute", "add", "finish")
        and any(argument.arg == "session" for argument in node.args.args)
    ]

    assert handed == []


def test_every_stage_has_a_queue_a_module_and_a_task_name():
    for stage in STAGES:
        assert queue_of(stage, "salience")
        assert task_name(stage).startswith("farm.")
        assert (ROOT / "worker" / "stages" / f"{stage}.py").exists()


def test_no_module_is_a_drawer():
    names = {"utils.py", "helpers.py", "common.py", "misc.py"}

    assert [ids(p) for p in FILES if p.name in names] == []


def test_nothing_is_pickled_and_no_shell_string_is_run():
    banned = re.compile(r"import pickle|pickle\.load|shell=True|os\.system\(")
    own = Path(__file__)

    assert [ids(p) for p in FILES if p != own and banned.search(p.read_text())] == []


def test_every_public_function_of_kompress_has_a_docstring_with_its_source():
    missing = []
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] != "kompress":
            continue
        for node in ast.parse(path.read_text()).body:
            public = isinstance(node, ast.FunctionDef) and node.name[0] != "_"
            if public and not ast.get_docstring(node):
                missing.append(f"{ids(path)}:{node.name}")

    assert missing == []
