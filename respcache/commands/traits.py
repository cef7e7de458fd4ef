"""What sets single commands apart that their rows do not say: names as in the registry."""

from typing import Final

NOT_FOR_SCRIPTS: Final = frozenset(
    {
        *(b"BGREWRITEAOF", b"BGSAVE", b"FAILOVER", b"PSYNC", b"REPLCONF", b"SAVE", b"SYNC"),
        *(b"ACL DELUSER", b"ACL DRYRUN", b"ACL GENPASS", b"ACL GETUSER", b"ACL LIST", b"ACL LOAD", b"ACL LOG"),
        *(b"ACL SAVE", b"ACL SETUSER", b"CLUSTER RESET", b"MODULE LOAD", b"MODULE LOADEX", b"MODULE UNLOAD"),
    }
)
"""Commands of Redis that there are not here, and that it refuses to scripts by a reply of its own."""

ABOUT_KEYS: Final = frozenset(
    {
        "EXISTS",
        "EXPIRETIME",
        "MEMORY|USAGE",
        "OBJECT|ENCODING",
        "OBJECT|FREQ",
        "OBJECT|IDLETIME",
        "OBJECT|REFCOUNT",
        "PEXPIRETIME",
        "PTTL",
        "RESTORE",
        "TTL",
        "TYPE",
    }
)
"""Commands that use no key: as in Redis they leave no trace of themselves. RESTORE says itself how a key is used."""
PROTECTED: Final = frozenset({"DEBUG"})
"""Families that a setting lets few use; COMMAND INFO does not say so."""
BY_DIGEST: Final = frozenset({"EVALSHA", "EVALSHA_RO"})
"""Commands that run a script which they do not contain."""
