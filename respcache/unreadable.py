"""What reading bytes as MessagePack can raise, in one place, so that no reader forgets a part of it. Pure."""

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The first is all that msgspec says it raises; text that is not UTF-8 and deep nesting raise the others."""
