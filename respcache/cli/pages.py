"""Reads the status pages of nodes: what does so again and again leaves no trace among their clients' figures."""

import json
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Final

from respcache.cli.client import SeenNode, split_address

TIMEOUT_S: Final = 2.0


class StatusReader:
    """Asks one node over a connection that is kept, and when that one is gone, another."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """`addresses` are HTTP ports of nodes, host:port; those of others are learned from the pages."""
        self._addresses = list(addresses)
        self._connection: HTTPConnection | None = None

    def members(self) -> dict[str, SeenNode]:
        """Give the nodes that the cluster knows by their RESP addresses; none if no node answers. Blocks."""
        for address in ["", *self._addresses]:
            with suppress(OSError, HTTPException, ValueError):
                members = self._page(address)
                self._addresses = [node.http for node in members if node.http and node.state != "dead"]
                return {node.address: node for node in members}
            self.close()
        return {}

    def close(self) -> None:
        """Give the connection back; it is made anew when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _page(self, address: str) -> list[SeenNode]:
        """Read a page, over the kept connection where there is one. Raises OSError and the like."""
        if address:
            self._connection = HTTPConnection(*split_address(address), timeout=TIMEOUT_S)
        if self._connection is None:
            raise ConnectionError("nobody has been asked yet")
        self._connection.request("GET", "/status")
        page = json.load(self._connection.getresponse())
        return [SeenNode.of_page(member) for member in page["members"] if member["state"] != "left"]
