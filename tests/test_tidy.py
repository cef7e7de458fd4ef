"""The habits of this code base, read off its syntax trees; what cannot be read there, its tools check.

Every rule is data at the top of this file with the reason beside it. An exception that is
no longer needed fails like a fault does.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "respcache"
TREES: Final = (PACKAGE, "tests", "dashboards", "docs")
"""Folders with Python in them."""

LAYERS: Final = {
    "": "the public names, for programs that embed a node",
    "__main__": "lets `python -m respcache` be the command line",
    "cli": "turns arguments into a configuration, and runs",
    "testing": "clusters inside one process, for tests",
    "node": "what programs embed: a running node as an object",
    "net": "sockets, tasks and timers, and the parts of a node connected",
    "driving": "what the keeper of partitions wants, carried out",
    "transactions": "commands that are run as one, on keys of one owner or of several",
    "transactions.multi": "what clients queue between MULTI and EXEC, run",
    "routing": "commands on their way to the nodes that own their keys, and replies on their way back",
    "routing.assurance": "how many copies have what a client wrote, asked of all owners",
    "routing.errands": "commands that other nodes ask this one to run",
    "routing.router": "where a command runs that cannot run where it came in",
    "routing.attempts": "orders run where their keys are, and answered",
    "routing.searching": "scripts that another node knows, found",
    "routing.relaying": "commands on one key that their owner is asked to run",
    "routing.redirects": "clients that find the owners of keys themselves",
    "transactions.standstill": "what stands still while a script rests",
    "transactions.transaction": "commands on keys of several owners",
    "transactions.exchanging": "two databases exchanged on several owners",
    "transactions.claiming": "partitions of several owners, all locked for one command",
    "transactions.participant": "commands on keys of several owners, where the keys are",
    "waiting": "commands that wait for keys: where their clients are, and where the keys are",
    "waiting.desk": "commands that wait for keys, where their clients are",
    "waiting.tickets": "commands that wait for keys, where the keys are",
    "routing.merging": "the replies of the parts of a command made one",
    "routing.notifying": "what has happened to keys, told once it is certain",
    "routing.holding": "replies that wait until copies have their effects",
    "routing.locking": "which partitions a node serves right now",
    "waiting.room": "who waits for which keys, and whose turn it is",
    "routing.observing": "hears of changes to keys",
    "transactions.watching": "which keys somebody watches, and whether they have changed since",
    "routing.backlog": "writes that wait until copies have confirmed earlier ones",
    "routing.parking": "orders that no node can run for now",
    "routing.order": "one command under way to where it can run",
    "routing.sheaf": "commands of one client under way to one node",
    "routing.internal": "what nodes ask of each other and no client can",
    "engine": "the one path that every command takes, on data that this node serves",
    "engine.pausing": "commands held up for a while",
    "engine.executor": "the one path that every command takes",
    "engine.relayed": "commands that peers ask for",
    "engine.routes": "the ways that commands take which cannot run here at once",
    "engine.memory": "the limit of a node's memory, kept",
    "engine.running": "scripts run on the data of this node",
    "engine.grounds": "what commands of a script work on",
    "engine.reach": "the keys that commands come to without naming them",
    "engine.acting": "a command run on partitions that are served here, and the copies told",
    "engine.slow": "notes the commands that took long",
    "engine.expiring": "deletes keys whose time is over, between commands",
    "engine.admission": "what clients may not do at once",
    "transactions.unit": "commands that are run as one",
    "metrics": "reads the figures of all below when it is scraped",
    "scripting": "Lua: how scripts are kept and run, and what they see",
    "host": "what commands may ask of their node",
    "tracking": "who caches which keys, and is told when they change",
    "commands": "one function a command, and the table of them",
    "settings": "the settings as CONFIG sees them",
    "redis_conf": "names from redis.conf that are no options here",
    "options": "how settings are written in files, variables and flags",
    "monitors": "shows every command to the clients that watch",
    "slowlog": "remembers slow commands",
    "latency": "notes what held the node up",
    "rates": "turns counts into counts a second",
    "pubsub": "who listens to what, and what each of them gets",
    "leaving": "what goes with a node that leaves, in figures and in words",
    "glob": "patterns as in KEYS",
    "store": "keys and values, deadlines, and what a command changed",
    "cluster": "who lives, who owns what, who has copies: decisions without sockets and clocks",
    "resp": "bytes to requests, values to bytes",
    "strand": "work that can rest in its midst",
    "pending": "a reply that is not there yet",
    "stats": "plain counters of one node",
    "complaints": "what others cause to be logged, within bounds",
    "garbage": "the pauses in which Python collects garbage",
    "config": "the settings as values",
    "addresses": "what an address says about where it leads",
    "reply": "the values that commands reply with",
    "errors": "everything that can be refused",
    "unreadable": "what can go wrong when bytes are read",
    "version": "the version",
}
"""The modules and packages of the package, top to bottom: each imports only from those below it."""

LAYERED: Final = frozenset({"engine", "routing", "transactions", "waiting"})
"""Packages that bring together what is about one thing, each module of them a layer of its own."""

STANDS_ON: Final = {
    "cluster": {"errors", "unreadable"},
    "pubsub": {"errors", "glob", "pending", "resp.encode", "unreadable"},
    "resp": {"errors", "reply"},
    "store": {"errors", "unreadable", "cluster.ownership.slots"},
}
"""Packages that know less than their layer would let them, so that they can be run and tested alone."""

ASYNCIO_IN: Final = frozenset({"net", "node", "testing", "cli"})
"""Everything else is plain functions and machines, which the simulator drives as asyncio does."""

PURE: Final = frozenset({"cluster", "pubsub", "store", "resp"})
"""Told what time it is and given its dice, so that a seed replays every run."""
CLOCKS_AND_DICE: Final = frozenset({"time", "datetime", "secrets", "uuid", "os"})

DICE: Final = re.compile(r"Random\(\)|random\.(?!Random\(.).*", re.DOTALL)
"""Calls that throw the dice of the process, or make some that nobody can throw again."""

LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 60

LONG_FUNCTIONS: Final = {
    "respcache/engine/executor.py Executor.batch": "a call costs a tenth of a command, so the hot loop makes few",
    "respcache/net/runtime.py Runtime.__init__": "the list of parts, and what each is connected to; no decisions",
}

SUPPRESSION: Final = re.compile(r"noqa|type:\s*ignore")
REASONED: Final = re.compile(r"(noqa: [A-Z]+\d+(, [A-Z]+\d+)*|type: ignore\[[a-z, -]+\]) +# \S")
UNFINISHED: Final = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(\w+\))")

NAMED_TEST: Final = re.compile(r"`([a-z_/]+\.py)::(\w+)`")
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

TOOLS: Final = {
    "lint": ["ruff", "check", "--quiet", "--output-format=concise"],
    "format": ["ruff", "format", "--check", "--quiet", "--output-format=concise"],
    "types": ["mypy", "--no-error-summary"],
}
"""Modules that are run in the root of the repository, and the arguments; pyproject.toml has their settings."""


def files(*trees: str) -> list[Path]:
    """List the Python files of some folders."""
    return sorted(path for tree in trees for path in (ROOT / tree).rglob("*.py"))


def all_files() -> list[Path]:
    """List all our Python files."""
    return [*ROOT.glob("*.py"), *files(*TREES)]


@cache
def syntax(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path, line: int = 0) -> str:
    """Name a place as editors understand it."""
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


@cache
def modules() -> frozenset[str]:
    """Name all modules of the package in full."""
    return frozenset(f"{PACKAGE}.{module_of(path)}" for path in files(PACKAGE))


def module_of(path: Path) -> str:
    """Name a file of the package as imports do, less the package: `store.partition`; the package itself is empty."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Go through the modules that a file imports, wherever in it: line, and full name."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{place(path, node.lineno)}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                within = f"{node.module}.{alias.name}"
                yield node.lineno, within if within in modules() else node.module


def inner_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Go through what a file of the package imports of the package, named as in `module_of`."""
    for line, name in imports(path):
        first, _, rest = name.partition(".")
        if first == PACKAGE:
            yield line, rest


def layer(module: str) -> str:
    """Name the layer that a module is part of."""
    first, _, rest = module.partition(".")
    return f"{first}.{rest}" if rest and first in LAYERED else first


@cache
def comments(path: Path) -> list[tuple[int, str]]:
    """List the comments of a file: line and text."""
    reader = io.StringIO(path.read_text(encoding="utf-8")).readline
    return [
        (token.start[0], token.string) for token in tokenize.generate_tokens(reader) if token.type == tokenize.COMMENT
    ]


def functions(node: ast.AST, outer: str = "") -> Iterator[tuple[str, int]]:
    """Go through all functions below a node: name with its classes' in front, and lines from head to end."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, f"{outer}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            assert child.end_lineno is not None
            yield f"{outer}{child.name}", child.end_lineno - child.lineno + 1
            yield from functions(child, f"{outer}{child.name}.")
        else:
            yield from functions(child, outer)


def none_of(faults: Iterable[str], rule: str) -> None:
    """Fail with a list of faults, unless it is empty."""
    __tracebackhide__ = True
    found = list(faults)
    assert not found, "\n".join([f"{rule}:", *(f"  {fault}" for fault in found)])


def test_every_module_has_a_layer() -> None:
    """Whoever adds a module says where it stands; whoever removes one takes its line out."""
    assert {layer(module_of(path)) for path in files(PACKAGE)} == LAYERS.keys()


def test_imports_go_down_only() -> None:
    """A lower part never knows a higher one, so each can be read, tested and replaced with what is below it alone."""
    height = {name: -row for row, name in enumerate(LAYERS)}
    none_of(
        (
            f"{place(path, line)}: {layer(module_of(path))} imports {imported or PACKAGE}"
            for path in files(PACKAGE)
            for line, imported in inner_imports(path)
            if layer(imported) != layer(module_of(path)) and height[layer(imported)] >= height[layer(module_of(path))]
        ),
        "imports that go up (see LAYERS)",
    )


@pytest.mark.parametrize("package", STANDS_ON)
def test_a_package_stands_on_what_it_says(package: str) -> None:
    """The wire, the data and the decisions are independent of each other."""
    none_of(
        (
            f"{place(path, line)}: imports {imported}"
            for path in files(f"{PACKAGE}/{package}")
            for line, imported in inner_imports(path)
            if layer(imported) != package and imported not in STANDS_ON[package]
        ),
        f"{package} may import {sorted(STANDS_ON[package])} and nothing else of the package",
    )


def test_what_bytes_can_do_is_said_in_one_place() -> None:
    """A reader of MessagePack that catches less than all of it ends a link, or a node, by bytes from a socket."""
    none_of(
        (
            f"{place(path, handler.lineno)}: catches {ast.unparse(handler.type)}"
            for path in files(PACKAGE)
            for handler in ast.walk(syntax(path))
            if isinstance(handler, ast.ExceptHandler) and handler.type is not None
            if re.search(r"msgspec\.(Msgspec|Decode)Error", ast.unparse(handler.type))
        ),
        "what readers of bytes catch is UNREADABLE",
    )


def test_asyncio_stays_at_the_edge() -> None:
    """Whatever decides or computes does not wait."""
    none_of(
        (
            f"{place(path, line)}: imports {imported}"
            for path in files(PACKAGE)
            if layer(module_of(path)) not in ASYNCIO_IN
            for line, imported in imports(path)
            if imported.partition(".")[0] in {"asyncio", "uvloop"}
        ),
        f"event loops belong in {sorted(ASYNCIO_IN)}",
    )


def test_decisions_read_no_clock_and_throw_no_dice() -> None:
    """Time is an argument and randomness an injected `random.Random`: the same inputs give the same run."""

    def faults() -> Iterator[str]:
        for path in files(*(f"{PACKAGE}/{package}" for package in sorted(PURE))):
            for line, imported in imports(path):
                if imported.partition(".")[0] in CLOCKS_AND_DICE:
                    yield f"{place(path, line)}: imports {imported}"
            for node in ast.walk(syntax(path)):
                if isinstance(node, ast.Call) and DICE.fullmatch(ast.unparse(node)):
                    yield f"{place(path, node.lineno)}: calls {ast.unparse(node)}"

    none_of(faults(), f"clocks and dice are not for {sorted(PURE)}")


def test_files_are_short_enough_to_read() -> None:
    """A longer one holds two concepts."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in all_files()}
    none_of(
        (f"{place(path)}: {lines} lines" for path, lines in lengths.items() if lines > LINES_MAX),
        f"files of more than {LINES_MAX} lines",
    )


def test_functions_are_short_enough_to_read() -> None:
    """A longer one wants its parts named, unless LONG_FUNCTIONS says why not."""
    lengths = {f"{place(path)} {name}": lines for path in all_files() for name, lines in functions(syntax(path))}
    long = {name for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    none_of(
        (f"{name}: {lengths[name]} lines" for name in sorted(long - LONG_FUNCTIONS.keys())),
        f"functions of more than {FUNCTION_LINES_MAX} lines",
    )
    none_of(sorted(LONG_FUNCTIONS.keys() - long), "exceptions in LONG_FUNCTIONS that nobody needs")


def test_every_module_says_what_it_is_for() -> None:
    """It is the first thing that a reader looks at."""
    none_of(
        (place(path) for path in all_files() if not ast.get_docstring(syntax(path))),
        "modules without a docstring",
    )


def test_what_is_switched_off_has_a_reason() -> None:
    """The reason stands behind the code: `# noqa: CODE # reason`."""
    none_of(
        (
            f"{place(path, line)}: {text}"
            for path in all_files()
            for line, text in comments(path)
            if SUPPRESSION.search(text) and not REASONED.search(text)
        ),
        "suppressions without code or reason",
    )


def test_what_is_left_to_do_has_an_owner() -> None:
    """`TODO(name)`: what nobody owns will not be done."""
    none_of(
        (
            f"{place(path, line)}: {text}"
            for path in all_files()
            for line, text in comments(path)
            if UNFINISHED.search(text)
        ),
        "unfinished work without an owner",
    )


def test_tests_run_on_what_is_installed() -> None:
    """The root of the repository is not on the path, so nothing is found there by accident."""
    none_of(
        (
            f"{place(path, line)}: imports {imported}"
            for path in files("tests")
            for line, imported in imports(path)
            if imported.partition(".")[0] in TREES[1:]
        ),
        "imports from the root; modules of the tests are named from `tests/` on",
    )


def test_every_scenario_names_tests_that_exist() -> None:
    """The page of what must hold points at functions that are there."""
    named = NAMED_TEST.findall((ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8"))
    assert named
    none_of(
        (
            f"{file}::{function}"
            for file, function in named
            if function not in {node.name for node in syntax(ROOT / "tests" / file).body if isinstance(node, FUNCTIONS)}
        ),
        "docs/scenarios.md names tests that do not exist",
    )


def test_generated_pages_are_up_to_date() -> None:
    """The README's table of commands and the page on metrics say what the program says."""
    run([sys.executable, "docs/generate.py", "--check"], "generate the pages anew with `task docs`")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tool", TOOLS)
def test_tools_find_nothing(tool: str) -> None:
    """Linter, formatter and type checker are content with the whole repository."""
    run([sys.executable, "-m", *TOOLS[tool]], f"`{' '.join(TOOLS[tool])}` finds faults")


def run(command: list[str], meaning: str) -> None:
    """Run a command in the root of the repository, and fail with all it said unless it succeeds."""
    __tracebackhide__ = True
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{meaning}:\n{done.stdout}{done.stderr}"
