"""The version of the package, which the build reads from here, and the one of Redis that clients are told."""

from typing import Final

__version__ = "0.1.0"

REDIS_VERSION: Final = b"7.4.0"
"""The same everywhere: in HELLO, INFO, scripts and LOLWUT. Clients decide by it what they may use."""
