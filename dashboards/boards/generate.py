"""Writes the boards into the folder above: `task docs`."""

import json
from pathlib import Path
from typing import Final

from boards.gossip import GOSSIP
from boards.grafana import Board
from boards.overview import OVERVIEW

BOARDS: Final[dict[str, Board]] = {"overview.json": OVERVIEW, "gossip.json": GOSSIP}
"""Boards by file name."""
FOLDER: Final = Path(__file__).parent.parent


def text_of(board: Board) -> str:
    """Write a board as it is committed."""
    return json.dumps(board.render(), indent=2) + "\n"


if __name__ == "__main__":
    for name, board in BOARDS.items():
        (FOLDER / name).write_text(text_of(board), encoding="utf-8")
