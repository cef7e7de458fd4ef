"""Why a script is not run, or not ended: in Redis' words."""

from respcache.errors import CommandError


class NoScript(CommandError):
    """No script with this digest has been loaded or run, or it is forgotten; nothing was run."""

    code = "NOSCRIPT"

    def __init__(self) -> None:
        super().__init__("No matching script. Please use EVAL.")


class NotBusy(CommandError):
    """There is no script to be ended."""

    code = "NOTBUSY"

    def __init__(self) -> None:
        super().__init__("No scripts in execution right now.")


class Unkillable(CommandError):
    """The script that runs has written: it goes on."""

    code = "UNKILLABLE"

    def __init__(self) -> None:
        super().__init__(
            "Sorry the script already executed write commands against the dataset. You can either wait the script "
            "termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
        )
