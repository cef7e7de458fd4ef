"""`python -m respcache` is the command `respcache`."""

from respcache.cli import main

main(prog_name="respcache")
