"""The command table as clients read it."""

from respcache.commands.documentation import commands
from respcache.commands.registry import ROWS
from respcache.commands.summaries import in_source, summary_of
from respcache.reply import Members, Status
from unit.commands.front import Front


def test_the_count_is_that_of_the_list_without_subcommands() -> None:
    """COMMAND, COMMAND COUNT and COMMAND LIST speak of the same commands."""
    front = Front()
    client = front.client()
    table, names = front.ask(client, b"COMMAND"), front.ask(client, b"COMMAND", b"LIST")
    assert isinstance(table, list)
    assert isinstance(names, list)
    assert front.ask(client, b"COMMAND", b"COUNT") == len(table) == len(commands())
    assert len(names) == len(ROWS) == len(set(map(bytes, names)))  # type: ignore[arg-type] # all are bytes


def test_info_gives_the_ten_columns() -> None:
    """Flags and categories are sets of statuses; the key specification says where keys begin and end."""
    front = Front()
    [get, unknown, member] = front.ask(front.client(), b"COMMAND", b"INFO", b"get", b"nothing", b"client|id")  # type: ignore[misc] # an array
    assert unknown is None
    assert isinstance(member, list)
    assert member[0] == b"client|id"
    assert isinstance(get, list)
    assert get[:2] == [b"get", 2]
    assert get[2] == Members([Status(b"fast"), Status(b"readonly")])
    assert get[3:6] == [1, 1, 1]
    assert get[6] == Members([Status(b"@read"), Status(b"@string"), Status(b"@fast")])
    assert get[8] == Members(
        [
            {
                b"flags": Members([Status(b"RO"), Status(b"access")]),
                b"begin_search": {b"type": b"index", b"spec": {b"index": 1}},
                b"find_keys": {b"type": b"range", b"spec": {b"lastkey": 0, b"keystep": 1, b"limit": 0}},
            }
        ]
    )
    assert len(get) == 10


def test_tips_say_how_parts_become_one() -> None:
    """What can be run in parts tells clients that route by themselves how to."""
    front = Front()
    answer = front.ask(front.client(), b"COMMAND", b"INFO", b"del", b"keys", b"get")
    assert isinstance(answer, list)
    assert [row[7] for row in answer] == [  # type: ignore[index] # rows are arrays
        [b"request_policy:multi_shard", b"response_policy:agg_sum"],
        [b"request_policy:all_shards", b"nondeterministic_output_order"],
        [],
    ]


def test_docs_explain_what_is_known_and_leave_out_the_rest() -> None:
    """Summary, since, group, and arguments with the keys among them."""
    front = Front()
    docs = front.ask(front.client(), b"COMMAND", b"DOCS", b"SET", b"nothing", b"CLIENT")
    assert isinstance(docs, dict)
    assert docs.keys() == {b"set", b"client"}
    told = docs[b"set"]
    assert isinstance(told, dict)
    assert told.items() >= {b"since": b"1.0.0", b"group": b"string"}.items()
    assert told[b"arguments"] == [
        {b"name": b"key", b"type": b"key", b"key_spec_index": 0},
        {b"name": b"argument", b"type": b"string"},
        {
            b"name": b"argument",
            b"type": b"string",
            b"flags": Members([Status(b"optional"), Status(b"multiple")]),
        },
    ]
    family = docs[b"client"]
    assert isinstance(family, dict)
    assert b"client|kill" in family[b"subcommands"]  # type: ignore[operator] # a map


def test_every_command_has_a_summary() -> None:
    """A sentence, whether the module of the command is compiled or not."""
    for row in ROWS:
        assert summary_of(row).endswith("."), row.name


def test_the_source_says_the_same_as_the_docstrings() -> None:
    """Also of commands that share a function."""
    found = in_source("respcache.commands.keys") | in_source("respcache.commands.clients")
    assert {"DEL", "UNLINK", "CLIENT|KILL"} <= found.keys()
    for row in ROWS:
        assert row.summary in {"", found.get(row.name, row.summary)}
    assert in_source("respcache.commands.nothing") == {}


def test_filters_narrow_the_list() -> None:
    """By category and by pattern, subcommands included."""
    front = Front()
    client = front.client()
    listed = front.ask(client, b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", b"client|*name")
    assert listed == [b"client|getname", b"client|setname"]
    by_category = front.ask(client, b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", b"string")
    assert isinstance(by_category, list)
    assert b"get" in by_category
    assert b"ping" not in by_category


def test_help_names_every_subcommand() -> None:
    """A line for each, and what it does below."""
    front = Front()
    told = front.ask(front.client(), b"CLUSTER", b"HELP")
    assert isinstance(told, list)
    assert Status(b"KEYSLOT") in told
    assert Status(b"    Return the slot of a key.") in told
