"""What one client has asked for by CLIENT TRACKING. Pure."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from respcache.commands.session import Session


CHANGING_MAX: Final = 1000
"""Keys that a client is known to be changing; if there are more since all replies were there, it may be any key."""


class Tracker:
    """How a client wants to hear of changed keys.

    By default of those that it has read; with `bcast` of all that begin with one of its prefixes.
    """

    __slots__ = (
        "bcast",
        "broken",
        "caching",
        "changing",
        "noloop",
        "optin",
        "optout",
        "prefixes",
        "redirect",
        "target",
        "writer",
    )

    def __init__(  # all by name
        self,
        *,
        bcast: bool = False,
        optin: bool = False,
        optout: bool = False,
        noloop: bool = False,
        redirect: int = 0,
        target: "Session | None" = None,
        prefixes: frozenset[bytes] = frozenset(),
    ) -> None:
        self.bcast: Final = bcast
        self.optin: Final = optin
        """What it reads counts only behind CLIENT CACHING YES."""
        self.optout: Final = optout
        """What it reads does not count behind CLIENT CACHING NO."""
        self.noloop: Final = noloop
        """Whether it does not want to hear of what it changes itself."""
        self.redirect: Final = redirect
        """Number of the connection that is told instead; 0 for itself."""
        self.target: Final = target
        """That connection; None for itself."""
        self.prefixes: Final = prefixes
        """Ends with `bcast`: the empty one stands for all keys."""
        self.writer: tuple[str, int] | None = None
        """Node and number of the client, by which its own changes are known, if it has `noloop`."""
        self.changing: Final[set[int]] = set()
        """Hashes of the keys that it may be changing, with `noloop`, by commands that have no reply yet."""
        self.caching = False
        """Whether CLIENT CACHING was its last command."""
        self.broken = False
        """Whether the connection that is to be told was found gone."""

    @property
    def minds(self) -> bool:
        """Whether it matters what the client itself reads or changes: then its commands are looked at one by one."""
        return self.noloop or not self.bcast

    @property
    def remembers(self) -> bool:
        """Whether what the client reads now counts."""
        return not self.bcast and (self.caching if self.optin else not (self.optout and self.caching))
