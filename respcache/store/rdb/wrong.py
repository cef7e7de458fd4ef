"""What payloads are refused for."""

from respcache.errors import RespcacheError


class BadFormat(RespcacheError):
    """These bytes are no value; nothing was changed."""


class WrongFooter(RespcacheError):
    """The payload was cut or changed on its way, or written by a version that is not known; nothing was changed."""
