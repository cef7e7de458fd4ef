"""Groups and ACL categories."""

import pytest

from respcache.commands.categories import BEYOND, CATEGORIES, GROUPS, OF_GROUP, categories_of, group_of


@pytest.mark.parametrize(
    ("name", "group", "flags", "expected"),
    [
        ("GET", "string", {"readonly", "fast"}, ("read", "string", "fast")),
        ("SET", "string", {"write", "denyoom"}, ("write", "string", "slow")),
        ("BLPOP", "list", {"write", "blocking"}, ("write", "list", "slow", "blocking")),
        ("CONFIG|GET", "server", {"admin"}, ("admin", "slow", "dangerous")),
        ("KEYS", "generic", {"readonly"}, ("keyspace", "read", "slow", "dangerous")),
        ("COMMAND|DOCS", "server", set(), ("slow", "connection")),
    ],
)
def test_categories_follow_from_group_and_flags(
    name: str, group: str, flags: set[str], expected: tuple[str, ...]
) -> None:
    """In the order in which Redis lists them, with what it adds by hand."""
    assert categories_of(name, group, frozenset(flags), is_family=False) == expected


def test_a_family_is_just_slow() -> None:
    """It does nothing by itself, so it has no share in what its subcommands do."""
    assert categories_of("OBJECT", "generic", frozenset(), is_family=True) == ("slow",)


def test_only_known_words_are_used() -> None:
    """A misspelled group or category would silently be none."""
    assert set(OF_GROUP) <= set(GROUPS.values())
    assert set(OF_GROUP.values()) | {word for words in BEYOND.values() for word in words} <= set(CATEGORIES)


def test_the_group_is_that_of_the_module() -> None:
    """Modules without a group of their own hold commands on the server."""
    assert group_of("respcache.commands.strings") == "string"
    assert group_of("respcache.commands.info") == "server"
