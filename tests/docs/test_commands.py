"""Commands that a page or a message names exist, with every option they are given."""

import re
import shlex

import pytest
import typer

from api.cli.main import app
from benchmarks.__main__ import NAMES, OF_A_FILE
from tests.docs.pages import ROOT, documents, inline_code, read, search, shell_lines

FARM = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), re.MULTILINE))
BENCHES = {*NAMES, *OF_A_FILE}
# Shell operators, after which a command has ended.
ENDS = {"&&", "||", "|", ";", ">", "<", "2>", "&"}
INLINE = re.compile(r"(?:farm|make|python -m) ")
MESSAGE = re.compile(r"`((?:farm|make) [^`\n{}]+(?:\n[^`\n{}]*)?)`")


def mistake(command):
    """Say what is wrong with a command line, '' if nothing is known to be."""
    words = shlex.split(command.replace("…", "X"))
    for place, word in enumerate(words):
        if re.fullmatch(r"[a-z-]+(?:\|[a-z-]+)+", word):
            full = [
                [*words[:place], one, *words[place + 1 :]] for one in word.split("|")
            ]
            return next(filter(None, map(mistake, map(shlex.join, full))), "")
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    for place, word in enumerate(words):
        if word in ENDS:
            return mistake_of(words[:place]) or mistake(
                shlex.join(words[place + 1 :]) if word in {"&&", "||", "|", ";"} else ""
            )
    return mistake_of(words)


def mistake_of(words):
    if not words:
        return ""
    name, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if name == "farm":
        return mistake_of_farm(FARM, rest)
    if name == "make":
        wrong = [w for w in rest if "=" not in w and w not in TARGETS]
        return f"no target {wrong[0]!r}" if wrong else ""
    if name.startswith("python") and rest[:1] == ["-m"]:
        return mistake_of_module(rest[1:])
    return ""


def mistake_of_farm(command, words):
    """Walk down the tree of commands, then let the last one read its options."""
    if words[:1] == ["X"]:
        return ""  # `farm …`: any command
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        child = command.commands.get(words[0])
        if child is None and command.invoke_without_command:
            words = words[1:]  # `farm ladder LOOP`: an argument of the group
            continue
        if child is None:
            return f"no command {words[0]!r} in {command.name or 'farm'}"
        command, words = child, words[1:]
    # Reads options and their values; checks no file and starts nothing.
    parser = command.make_parser(command.context_class(command))
    try:
        parser.parse_args(list(words))
    except Exception as error:  # noqa: BLE001  # typer's click is private
        if "requires an argument" in str(error) and words[-1].startswith("-"):
            return ""  # the option is named, not used
        return f"{command.name or 'farm'}: {error}"
    return ""


def mistake_of_module(words):
    module = words[0]
    base = ROOT.joinpath(*module.split("."))
    if module in {"pip", "pytest"}:
        return ""
    if not (base.is_dir() or base.with_suffix(".py").exists()):
        return f"no module {module}"
    if module == "benchmarks" and (wrong := set(words[1:2]) - BENCHES):
        return f"no bench {wrong}"
    return ""


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_command_of_a_page_exists(path):
    named = [
        *shell_lines(path),
        *(
            p
            for p in inline_code(path)
            if re.match(r"(?:farm|make|python -m) ", p.text)
        ),
    ]
    wrong = [f"{place}: {found}" for place in named if (found := mistake(place.text))]

    assert wrong == []


def test_every_command_that_a_message_names_exists():
    wrong = [
        f"{place}: {found}"
        for package in ("api", "db", "kompress", "worker")
        for path in (ROOT / package).rglob("*.py")
        for place, match in search(MESSAGE, path)
        if (found := mistake(" ".join(re.sub(r'"\n\s*f?"', "", match[1]).split())))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("farm quality --by voter", ""),
        ("farm qualities", "no command 'qualities' in"),
        ("farm corpus add mine x.ndjson --references qa", ""),
        ("farm corpus add|list", ""),
        ("farm corpus add|drop", "no command 'drop' in corpus"),
        ("farm corpus drop mine", "no command 'drop' in corpus"),
        ("farm quality --nonsense 3", "quality: No such option: --nonsense"),
        ("FARM_HOME=x .venv/bin/farm status --watch | less", ""),
        ("cd x && make tests", "no target 'tests'"),
        ("make test ARGS=-x", ""),
        ("python -m benchmarks budget", ""),
        ("python -m benchmarks budgets", "no bench {'budgets'}"),
        ("python -m benchmark", "no module benchmark"),
        ("git clone x", ""),
    ],
)
def test_a_command_that_does_not_exist_is_found(command, found):
    assert mistake(command)[: len(found)] == found
    assert bool(mistake(command)) == bool(found)
