"""All that seals the traffic of one node: its ring, its datagrams, its connections."""

from collections.abc import Callable
from typing import Final

from respcache.cluster.sealing.channel import Channel, Identity
from respcache.cluster.sealing.datagrams import PEERS_MAX, Address, Seal
from respcache.cluster.sealing.keyring import Keyring


class Sealing:
    """Made once for each run of a node.

    The ring is replaced as a whole and read anew with every packet, so that datagrams
    may be sealed on another thread than the one where keys change.
    """

    def __init__(
        self,
        ring: Keyring,
        me: Identity,
        *,
        label: str,
        entropy: Callable[[int], bytes],
        plaintext: bool = False,
    ) -> None:
        """`entropy(n)` gives n random bytes that nobody can foresee.

        With `plaintext` nodes without keys are spoken to as well: for the time in which a
        cluster moves from the one to the other.
        """
        self.ring = ring
        self.me: Final = me
        self.plaintext: Final = plaintext
        self.datagrams: Final = Seal(lambda: self.ring, label=label, entropy=entropy, plaintext=plaintext)
        self._label: Final = label
        self._entropy: Final = entropy
        self._plain: Final[dict[Address, None]] = {}

    def channel(self) -> Channel:
        """Make the channel of a new connection."""
        return Channel(lambda: self.ring, self.me, label=self._label, entropy=self._entropy)

    def dials_plain(self, address: Address) -> bool:
        """Tell whether to speak plainly to whoever is at an address; never unless `plaintext`."""
        return address in self._plain

    def dialled(self, address: Address, *, understood: bool) -> None:
        """Note how an attempt ended: with `plaintext` both ways are tried in turn until one is understood."""
        if not self.plaintext or understood:
            return
        if address in self._plain:
            del self._plain[address]
        elif len(self._plain) < PEERS_MAX:
            self._plain[address] = None
