"""Functions: Lua under a name of its own, which clients load once and all nodes know (see `scripting.sharing`)."""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import (
    COUNTED_SECOND,
    Answer,
    Flags,
    command,
    family,
    script_command,
)
from respcache.commands.scripting import divided, in_order
from respcache.commands.session import Session
from respcache.commands.stage import Ground, LibraryView, Policy, Scripts
from respcache.errors import CommandError, NotAnInteger, OutOfMemory, echoed
from respcache.glob import matcher
from respcache.reply import Members, Reply, Status
from respcache.store.partition import Argv

_CALLS: Final = Flags.NOSCRIPT | Flags.STALE | Flags.SKIP_MONITOR | Flags.NO_MANDATORY_KEYS | Flags.MOVABLEKEYS
_CHANGES: Final = Flags.WRITE | Flags.NOSCRIPT
_GROWS: Final = _CHANGES | Flags.DENYOOM
ENGINE: Final = b"LUA"


@script_command("FCALL", arity=-3, flags=_CALLS, since="7.0.0", keys=COUNTED_SECOND)
def fcall(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Call a function."""
    keys, arguments = _called(scripts, argv)
    return scripts.call(argv, ground, keys, arguments, reads=False)


@script_command("FCALL_RO", arity=-3, flags=_CALLS | Flags.READONLY, since="7.0.0", keys=COUNTED_SECOND)
def fcall_ro(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Call a function that only reads."""
    keys, arguments = _called(scripts, argv)
    return scripts.call(argv, ground, keys, arguments, reads=True)


def _called(scripts: Scripts, argv: Argv) -> tuple[Argv, Argv]:
    """Tell keys from arguments. Raises CommandError if there is no such function, or the number is not right."""
    scripts.require(argv[1])
    try:
        integer(argv[2])
    except NotAnInteger:
        raise CommandError("Bad number of keys provided") from None
    return divided(argv)


family("FUNCTION", since="7.0.0", group="scripting", help_since="7.0.0")


@command("FUNCTION|LOAD", arity=-3, flags=_GROWS, since="7.0.0")
def function_load(session: Session, argv: Argv) -> Answer:
    """Make a library known on all nodes, with REPLACE in place of another of its name; return the name."""
    _check_memory(session)
    options, replace = argv[2:-1], False
    for word in options:
        if option(word) != b"REPLACE":
            raise CommandError(f"Unknown option given: {echoed(word)}")
        replace = True
    return in_order(session, argv, session.host.catalogue.load(argv[-1], replace=replace))


@command("FUNCTION|DELETE", arity=3, flags=_CHANGES, since="7.0.0")
def function_delete(session: Session, argv: Argv) -> Answer:
    """Delete a library on all nodes."""
    return in_order(session, argv, session.host.catalogue.delete(argv[2]))


@command("FUNCTION|FLUSH", arity=-2, flags=_CHANGES, since="7.0.0")
def function_flush(session: Session, argv: Argv) -> Answer:
    """Delete all libraries on all nodes."""
    _check_count(argv, 3)
    if len(argv) == 3 and option(argv[2]) not in {b"ASYNC", b"SYNC"}:
        raise CommandError("FUNCTION FLUSH only supports SYNC|ASYNC option")
    return in_order(session, argv, session.host.catalogue.flush())


@command("FUNCTION|LIST", arity=-2, flags=Flags.NOSCRIPT, since="7.0.0")
def function_list(session: Session, argv: Argv) -> Reply:
    """Describe the libraries, or those whose names match a pattern; WITHCODE with their texts."""
    pattern: bytes | None = None
    with_code = False
    at = 2
    while at < len(argv):
        word = option(argv[at])
        if word == b"WITHCODE" and not with_code:
            with_code = True
        elif word == b"LIBRARYNAME" and pattern is None:
            at += 1
            if at == len(argv):
                raise CommandError("library name argument was not given")
            pattern = argv[at]
        else:
            raise CommandError(f"Unknown argument {echoed(argv[at])}")
        at += 1
    libraries = session.host.catalogue.libraries()
    if pattern is not None:
        matches = matcher(pattern, ignore_case=True)
        libraries = [library for library in libraries if matches(library.name)]
    return [_described(library, with_code=with_code) for library in libraries]


@command("FUNCTION|STATS", arity=2, flags=Flags.NOSCRIPT | Flags.ALLOW_BUSY, since="7.0.0")
def function_stats(session: Session, argv: Argv) -> Reply:
    """Tell which function runs on this node, if one does, and how many are known."""
    del argv
    catalogue = session.host.catalogue
    figures, running = catalogue.figures(), catalogue.running_function()
    script: Reply = None
    if running is not None:
        script = {b"name": running.name, b"command": list(running.argv), b"duration_ms": running.duration_ms}
    counts: Reply = {b"libraries_count": figures.libraries, b"functions_count": figures.functions}
    return {b"running_script": script, b"engines": {ENGINE: counts}}


@command("FUNCTION|DUMP", arity=2, flags=Flags.NOSCRIPT, since="7.0.0")
def function_dump(session: Session, argv: Argv) -> Reply:
    """Return all libraries as one string, which FUNCTION RESTORE understands, here and in Redis."""
    del argv
    return session.host.catalogue.dump()


@command("FUNCTION|RESTORE", arity=-3, flags=_GROWS, since="7.0.0")
def function_restore(session: Session, argv: Argv) -> Answer:
    """Load what FUNCTION DUMP gave: beside what is there (APPEND), over it (REPLACE), or in its place (FLUSH)."""
    _check_memory(session)
    _check_count(argv, 4)
    policy = Policy.APPEND
    if len(argv) == 4:
        found = Policy.__members__.get(option(argv[3]).decode("latin-1"))
        if found is None:
            raise CommandError("Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
        policy = found
    return in_order(session, argv, session.host.catalogue.restore(argv[2], policy))


@command("FUNCTION|KILL", arity=2, flags=Flags.NOSCRIPT | Flags.ALLOW_BUSY, since="7.0.0")
def function_kill(session: Session, argv: Argv) -> Answer:
    """End the function that runs on this node, if it has not written."""
    return in_order(session, argv, session.host.catalogue.kill(function=True))


def _check_memory(session: Session) -> None:
    if session.host.store.ledger.full:
        raise OutOfMemory


def _check_count(argv: Argv, most: int) -> None:
    if len(argv) > most:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try FUNCTION HELP."
        )


def _described(library: LibraryView, *, with_code: bool) -> Reply:
    functions: list[Reply] = [
        {
            b"name": function.name,
            b"description": function.description,
            b"flags": Members(Status(flag) for flag in function.flags),
        }
        for function in library.functions
    ]
    described: dict[Reply, Reply] = {b"library_name": library.name, b"engine": ENGINE, b"functions": functions}
    if with_code:
        described[b"library_code"] = library.code
    return described
