"""`kg serve`."""

import getpass
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from kg.cli.answering import say_untrained
from kg.cli.command import DECISIONS, command
from kg.cli.console import note, say
from kg.cli.options import ANSWERS, HOW, Language, StorePath, option
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError, check_at_least_one, extra
from kg.progress import Progress

_HERE = ("127.0.0.1", "localhost", "::1")


@command(
    DECISIONS,
    "kg serve world.kg",
    "kg serve world.kg --model model",
    "kg serve world.kg --model model --host 0.0.0.0 --tokens people.txt",
)
def serve(
    store: StorePath,
    model: Annotated[
        Path | None, option(ANSWERS, "MODEL", "The trained model that answers (a pretrained one, for this run).")
    ] = None,
    top: Annotated[int, option(ANSWERS, "N", "Of the most probable so many candidates (1000).")] = 1000,
    host: Annotated[str, option(HOW, "ADDRESS", "Where to listen (127.0.0.1: this machine alone).")] = _HERE[0],
    port: Annotated[int, option(HOW, "N", "At which port (8000).")] = 8000,
    names: Annotated[
        list[str] | None, option(HOW, "HOST", "Another name that browsers ask for us by (repeat it).", "--name")
    ] = None,
    tokens: Annotated[
        Path | None, option(HOW, "FILE", "Lines NAME=TOKEN: who may ask, and in whose name decisions are made.")
    ] = None,
    by: Annotated[
        str | None, option(HOW, "NAME", "Without tokens: who decides (the name you are logged in with).", "--by")
    ] = None,
    language: Language = None,
) -> None:
    """Pages to decide on candidates, and an API, on this machine.

    What is decided is on disk before the answer comes. Other machines are let in with --tokens alone. Ctrl-C ends it.
    """
    from kg.serve.app import create_app
    from kg.serve.safety import Safety, read_people
    from kg.serve.service import Service

    with extra("serve"):
        import uvicorn

    if host not in _HERE and tokens is None:
        raise UserError(f"host {host} lets other machines in: --tokens FILE says who they are", "host")
    check_at_least_one(top=top)
    if not 0 <= port < 1 << 16:
        raise UserError(f"port must be from 0 to 65535: got {port}", "port")
    people = {} if tokens is None else read_people(tokens.read_text(encoding="utf-8"))
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(host, port))
        port = listening.getsockname()[1]
        known_as = (*_HERE, host, *(names or ()))
        bare = known_as if port == 80 else names or ()  # browsers leave out the port of http
        served = frozenset(f"{_bracketed(name)}:{port}" for name in known_as) | frozenset(map(_bracketed, bare))
        with ConsoleProgress() as progress:
            service = Service(model or _pretrained(store, stack, progress), store, top, language, progress)
        app = create_app(service, Safety(served, by or getpass.getuser(), people))
        say(f"http://{_bracketed(host)}:{port}/")
        if people:
            note(f"{len(people)} people may come in, each with a token")
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30)
        uvicorn.Server(config).run(sockets=[listening])


def _pretrained(store: Path, stack: ExitStack, progress: Progress) -> Path:
    """A model that is there as long as the pages are."""
    from kg.api import pretrained

    folder = Path(stack.enter_context(TemporaryDirectory()))
    made = pretrained(store, folder / "pretrained", probabilities=True, progress=progress)
    say_untrained(store)
    return made.path


def _listening(host: str, port: int) -> socket.socket:
    """The socket, before anything takes long. UserError where the port is taken, or is not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, so that asyncio turns Nagle's algorithm off: else an answer waits 40 ms for the client to have heard.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)  # whoever asks from now on waits, and is not refused
    except (OSError, OverflowError) as error:
        made.close()
        what = getattr(error, "strerror", None) or str(error)
        raise UserError(f"port {port} of {host}: {what}", "port") from None
    return made


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
