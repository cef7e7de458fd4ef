"""What clients hear, and what checks say."""

import enum


class Outcome(enum.Enum):
    """What became of an operation."""

    SAFE = enum.auto()
    """Done, and acknowledged."""
    UNCERTAIN = enum.auto()
    """Done or not: nobody can tell."""
    REFUSED = enum.auto()
    """Certainly not done."""


class Violation(AssertionError):
    """A promise was broken."""
