"""Every setting as a flag; the help is the docstring of its field in `respcache.config`."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import click
import msgspec

from respcache.options import FILE_SUFFIX, OPTIONS, SECTIONS, Option

CONFIG_FLAG: Final = "config"
Function = TypeVar("Function", bound=Callable[..., Any])

METAVARS: Final[dict[type, str]] = {
    msgspec.inspect.BoolType: "yes|no",
    msgspec.inspect.IntType: "NUMBER",
    msgspec.inspect.UnionType: "NUMBER",
    msgspec.inspect.FloatType: "NUMBER",
    msgspec.inspect.VarTupleType: "LIST",
}
UNIT_METAVARS: Final = {"_bytes": "SIZE", "_bytes_per_s": "SIZE", "_s": "SECONDS", "_us": "MICROSECONDS"}
"""By the unit in the name of the field: the flag does not show it."""


def config_flags(function: Function) -> Function:
    """Give a click command `--config` and a flag for every setting, all None unless given."""
    help_of = {section: field_docs(structure) for section, structure in SECTIONS.items()}
    for option in reversed(OPTIONS):
        text = help_of[option.section][option.field]
        if option.may_be_in_a_file:
            function = _flag(option.name + FILE_SUFFIX, "PATH", f"File with what --{option.name} would be given.")(
                function
            )
        shown = option.text(option.default)
        function = _flag(option.name, _metavar(option), f"{text}  [default: {shown}]" if shown else text)(function)
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option(f"--{CONFIG_FLAG}", type=file, help="TOML file with settings.")(function)


def given(parameters: dict[str, Any]) -> dict[str, str]:
    """Pick the settings out of a click command's parameters, by the names of the flags."""
    names = [option.name for option in OPTIONS] + [
        option.name + FILE_SUFFIX for option in OPTIONS if option.may_be_in_a_file
    ]
    found = {name: parameters.get(name.replace("-", "_")) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def field_docs(structure: type) -> dict[str, str]:
    """Read the docstrings that stand below the fields of a structure."""
    body = ast.parse(textwrap.dedent(inspect.getsource(structure))).body[0]
    assert isinstance(body, ast.ClassDef)  # the source of a class is one
    docs = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs


def _flag(name: str, metavar: str, text: str) -> Callable[[Function], Function]:
    return click.option(f"--{name}", metavar=metavar, help=text)


def _metavar(option: Option) -> str:
    if isinstance(option.type, msgspec.inspect.LiteralType):
        return "|".join(_choices(option))
    for unit, metavar in UNIT_METAVARS.items():
        if option.field.endswith(unit):
            return metavar
    return METAVARS.get(type(option.type), "TEXT")


def _choices(option: Option) -> list[str]:
    """List the words that a setting may be, in the order in which they are declared; msgspec sorts them."""
    fields = msgspec.structs.fields(SECTIONS[option.section])
    return list(map(str, next(get_args(field.type) for field in fields if field.name == option.field)))
