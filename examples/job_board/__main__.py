"""Runs the board: `python -m examples.job_board --port 8700`."""

import argparse
import os
import socket
import sys
from pathlib import Path

import uvicorn

from .app import JobBoard
from .journal import Journal
from .postings import Catalogue, PostingsError, read_postings
from .trouble import TroubleSource

INVENTED_POSTINGS = Path(__file__).parent / "postings.json"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.job_board", description="A small job board for a bot to practise on."
    )
    parser.add_argument("--host", default="localhost", help="name or address to listen on (default: localhost)")
    parser.add_argument("--port", type=int, default=8700, help="port to listen on; 0 takes a free one (default: 8700)")
    parser.add_argument(
        "--postings",
        type=Path,
        default=os.environ.get("BOTLIGHT_POSTINGS") or INVENTED_POSTINGS,
        help="JSON file of postings (default: $BOTLIGHT_POSTINGS, else an invented set)",
    )
    parser.add_argument("--seed", type=int, default=1, help="where trouble comes from (default: 1)")
    parser.add_argument(
        "--trouble", choices=("on", "off"), default="on", help="whether requests go wrong (default: on)"
    )
    parser.add_argument("--late", type=float, default=15, help="seconds that a lost answer takes (default: 15)")
    parser.add_argument("--journal", type=Path, help="file that gets a line of JSON for each event")
    return parser.parse_args()


def main() -> None:
    """Serves until SIGINT or SIGTERM; exits with status 2 when it cannot start."""
    options = _options()
    try:
        catalogue = Catalogue(read_postings(Path(options.postings)))
        journal = Journal(options.journal)
        listener = socket.create_server((options.host, options.port))
    except (PostingsError, OSError, OverflowError) as error:
        sys.exit(_refuse(error))
    source = TroubleSource(options.seed, is_on=options.trouble == "on")
    board = JobBoard(catalogue, journal, source, late_s=options.late)
    # The listener queues connections from here on, so the line is true already.
    print(f"Job board with {len(catalogue)} postings: http://{options.host}:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(board.app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])
    journal.close()


def _refuse(error: Exception) -> int:
    print(f"job board: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
