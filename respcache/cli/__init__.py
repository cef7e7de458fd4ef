"""The command line: arguments to a configuration, and off. It knows nothing of how a node works."""

import click

from respcache.cli.demo import demo
from respcache.cli.keys import keys
from respcache.cli.leave import leave
from respcache.cli.serve import serve
from respcache.cli.status import status
from respcache.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="respcache")
def main() -> None:
    """One big Redis made of many small nodes."""


main.add_command(serve)
main.add_command(demo)
main.add_command(status)
main.add_command(keys)
main.add_command(leave)
