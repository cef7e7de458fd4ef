"""Connects what runs scripts with the rest of a node."""

import random
import sys
from time import time, time_ns
from typing import Final

from respcache.commands.session import Session
from respcache.config import ServerConfig
from respcache.host import NodeHost
from respcache.net import frames
from respcache.net.replicator import Replicator
from respcache.scripting.catalogue import Catalogue
from respcache.scripting.interpreter import Interpreter
from respcache.scripting.sharing import Sharing

NS_PER_MS: Final = 1_000_000
LUA: Final = "lupa.lua51"
"""The module that Lua is in, where the extra `lua` is installed. A process that runs nodes has it imported first."""


def interpreter(host: NodeHost, server: ServerConfig, rng: random.Random) -> Interpreter:
    """Make what runs the scripts of a node."""
    made = Interpreter(
        lambda: Session(host, client_id=0, address="", local_address="", now_unix_s=int(time())),
        host.stats,
        memory_max_bytes=server.lua_memory_max_bytes,
        time_limit_ms=server.lua_time_limit_ms,
        library_max_bytes=server.lua_scripts_max_bytes,
        seed=rng.getrandbits(31),
    )
    if LUA in sys.modules:  # else nobody may ever need it, as in most programs that embed a node
        made.prepare()
    return made


def share(name: str, host: NodeHost, scripts: Interpreter, replicator: Replicator) -> None:
    """Let clients load functions, and all nodes know of them."""
    sharing = Sharing(name, scripts, now_unix_ms=lambda: time_ns() // NS_PER_MS)
    links = replicator.links

    def send(peer: str, body: bytes) -> None:
        link = links.link(peer)
        if link is not None:
            link.send(frames.FUNCTIONS, body)

    sharing.send = send
    replicator.sharing = sharing
    host.catalogue = Catalogue(scripts, sharing)
