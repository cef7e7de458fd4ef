"""`python -m respcache` is the command `respcache`."""

from respcache.cli import main

if __name__ == "__main__":
    main(prog_name="respcache")
