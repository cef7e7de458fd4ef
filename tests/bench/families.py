"""The commands that are measured, one or two for each family, as redis-benchmark is told to send them."""

from dataclasses import dataclass
from typing import Final

from bench.servers import VALUE_BYTES

VALUE: Final = "x" * VALUE_BYTES
RANDOM: Final = "__rand_int__"
"""What redis-benchmark replaces by twelve digits, others each time."""
TAGGED: Final = "key:{tag}:" + RANDOM
"""A key whose tag it replaces, in cluster mode, by one of a slot of the node that it sends it to."""
SCRIPT: Final = """local count = redis.call("INCR", KEYS[1])
if count == 1 then redis.call("EXPIRE", KEYS[1], 60) end
return count"""
"""What EVAL runs: a limit on how often something may happen in a minute."""
CHANNEL: Final = "channel"
SUBSCRIBERS: Final = 10


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table."""

    name: str
    words: tuple[str, ...]
    share: float = 1.0
    """Of the usual number of requests, how many are enough: less where each takes longer."""
    goal: float | None = 2.0
    """At most so many times Redis' CPU time; None where the command is not O(1)."""
    before: tuple[str, ...] = ()
    """A command that is sent as often before, unmeasured."""
    common: bool = False
    """Whether it is measured at all depths, and on three nodes too."""
    aware: tuple[str, ...] = ()
    """The command as clients send it who know the cluster protocol, where theirs are measured too."""
    aware_goal: float | None = None
    """At most so many times one node's CPU time then, of all nodes together."""


FAMILIES: Final = (
    Family("SET", ("SET", f"key:{RANDOM}", VALUE), common=True, aware=("SET", TAGGED, VALUE), aware_goal=2.5),
    Family("GET", ("GET", f"key:{RANDOM}"), common=True, aware=("GET", TAGGED), aware_goal=1.0),
    Family("EVAL", ("EVAL", SCRIPT, "1", f"limit:{RANDOM}"), share=0.3, goal=4.0, common=True),
    Family("LPUSH", ("LPUSH", "list", VALUE)),
    Family("RPOP", ("RPOP", "queue"), before=("LPUSH", "queue", VALUE)),
    Family("SADD", ("SADD", "set", f"member:{RANDOM}")),
    Family("HSET", ("HSET", "hash", f"field:{RANDOM}", VALUE)),
    Family("ZADD", ("ZADD", "zset", RANDOM, f"member:{RANDOM}"), goal=None),
    Family("XADD", ("XADD", "stream", "*", "field", VALUE)),
    Family("MSET of 10", ("MSET", *(f"key:{RANDOM}", VALUE) * 10), share=0.2),
    Family("LRANGE_100", ("LRANGE", "hundred", "0", "99"), share=0.1, goal=None),
    Family("PUBLISH to 10", ("PUBLISH", CHANNEL, VALUE), share=0.15),
)
FILLING: Final = ("RPUSH", "hundred", *[VALUE] * 100)
"""What LRANGE_100 reads."""
