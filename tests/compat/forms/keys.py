"""How commands on keys and databases are called."""

from typing import Final

from compat.forms.payloads import PAYLOADS
from compat.forms.words import (
    DATABASES,
    PATTERNS,
    Argument,
    a_lifetime,
    a_moment,
    conditions,
    integer,
    key,
    maybe,
    one_of,
    options,
    some,
)

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"DEL": (some(key),),
    b"UNLINK": (some(key),),
    b"EXISTS": (some(key),),
    b"TOUCH": (some(key),),
    b"TYPE": (key,),
    b"KEYS": (one_of(PATTERNS),),
    b"SCAN": (one_of((b"0", b"0", b"0", b"", b"+0", b"abc", b"-")), maybe(b"MATCH", one_of(PATTERNS)),
              maybe(b"COUNT", integer), maybe(b"TYPE", one_of((b"string", b"hash", b"String"))),
              lambda _: [b"COUNT", b"1000"]),
    b"RANDOMKEY": (),
    b"RENAME": (key, key),
    b"RENAMENX": (key, key),
    b"COPY": (key, key, maybe(b"DB", one_of(DATABASES)), maybe(b"REPLACE")),
    b"MOVE": (key, one_of(DATABASES)),
    b"PERSIST": (key,),
    b"EXPIRE": (key, a_lifetime(1000), conditions),
    b"PEXPIRE": (key, a_lifetime(1), conditions),
    b"EXPIREAT": (key, a_moment(1000), conditions),
    b"PEXPIREAT": (key, a_moment(1), conditions),
    b"TTL": (key,),
    b"PTTL": (key,),
    b"EXPIRETIME": (key,),
    b"PEXPIRETIME": (key,),
    b"DUMP": (key,),
    b"RESTORE": (key, a_lifetime(1), one_of(PAYLOADS), maybe(b"REPLACE"), options(b"ABSTTL", b"NX", likely=0.1),
                 maybe(b"IDLETIME", integer), maybe(b"FREQ", integer)),
    b"OBJECT": (one_of((b"ENCODING", b"REFCOUNT", b"FREQ", b"IDLETIME", b"encoding", b"JUNK")), key),
    b"DBSIZE": (),
    b"SELECT": (one_of((b"0", b"0", b"0", b"1", b"2")),),
    b"SWAPDB": (one_of(DATABASES), one_of(DATABASES)),
    b"FLUSHDB": (options(b"ASYNC", b"SYNC", likely=0.3),),
}  # fmt: skip
