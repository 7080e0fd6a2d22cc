"""`kg demo`."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import MODELS, command
from kg.cli.console import err, out
from kg.cli.options import argument


@command(
    MODELS,
    "kg demo",
    "kg demo my/demo",
)
def demo(
    folder: Annotated[Path, argument("FOLDER", "Where the store, the models and the candidates go (demo).")] = Path(
        "demo"
    ),
) -> None:
    """All of it in three minutes, on a graph of the world.

    Load, train three models, compare them, show the best new facts and the evidence for them.
    """
    from kg.demo import run_demo

    run_demo(folder, out, err)
