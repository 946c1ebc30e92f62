"""The rows of the comparison: what is installed, how it reports, what stands behind it, what it was made for."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.comparison import stand_in, venvs
from bench.comparison.backends import Backend, Botlight, MLflow, NoBackend, StandInBackend, Trackio

__all__ = ["Candidate", "candidates"]

CLIENT = Path(__file__).resolve().parents[2] / "client"


class Candidate(NamedTuple):
    """One row."""

    name: str
    module: str  # in `bots`, how its quickstart uses it
    backend: Backend
    made_for: str
    behind: str  # what stands there as its backend
    requirements: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    manner: str = ""  # what its default settings do in an outage, and which of them changes that
    by_hand: str = ""  # how reports are delivered when only a person can
    python: str = ""  # instead of the virtual environment's, which then is not needed

    @property
    def venv(self) -> str:
        """The name of its virtual environment; rows of one library share it."""
        return self.module.removeprefix("with_").removesuffix("_metrics")

    @property
    def interpreter(self) -> str:
        """Which Python its bots run on."""
        return self.python or str(venvs.interpreter(self.venv))


WANDB_KEY = ("WANDB_API_KEY", "0" * 40)  # of the length that it asks for; nobody checks it


def candidates(folder: Path, stack: ExitStack) -> list[Candidate]:
    """All rows; servers keep their files in the folder and end with the stack."""
    messages, counts = (
        StandInBackend({"BOT_BACKEND": "http://key@127.0.0.1:PORT/1"}, read, kind)
        for read, kind in ((stand_in.sentry_messages, "points"), (stand_in.sentry_counts, "amounts"))
    )
    graphql = StandInBackend(
        {"WANDB_BASE_URL": "http://127.0.0.1:PORT"}, stand_in.wandb_points, "points", stand_in.wandb_answer
    )
    gateway = StandInBackend({"BOT_BACKEND": "127.0.0.1:PORT"}, stand_in.gateway, "totals")
    posts = StandInBackend({"BOT_BACKEND": "http://127.0.0.1:PORT/report"}, stand_in.json_totals, "totals")
    mlflow = MLflow(folder / "mlflow", stack, venvs.FOLDER / "mlflow")
    trackio = Trackio(folder / "trackio", stack, venvs.FOLDER / "trackio")
    return [
        Candidate(
            "status_reporter",
            "with_status_reporter",
            Botlight(folder / "botlight", stack),
            "live status, counts and stop of a bot",
            "Botlight's service",
            environment=(("PYTHONPATH", str(CLIENT)),),
            manner="waits 2 s at the end (exit_timeout), less when nobody answers; the next run delivers the rest",
        ),
        Candidate(
            "wandb, online",
            "with_wandb",
            graphql,
            "metrics, media and artifacts of training runs",
            "stand-in for its GraphQL",
            ("wandb==0.31.0",),
            (WANDB_KEY,),
            "init waits 90 s (init_timeout), finish until all is there; it is on disk, `wandb sync` delivers it by hand",
        ),
        Candidate(
            "wandb, offline",
            "with_wandb",
            NoBackend(),
            "the same where there is no network",
            "none",
            ("wandb==0.31.0",),
            (("WANDB_MODE", "offline"),),
            "`wandb sync` delivers it by hand",
            by_hand="wandb sync",
        ),
        Candidate(
            "mlflow",
            "with_mlflow",
            mlflow,
            "experiments, models and their registry",
            "its own server, SQLite",
            ("mlflow==3.17.2",),
            manner="tries each request 8 times, 120 s at most (MLFLOW_HTTP_REQUEST_MAX_RETRIES, …_TIMEOUT)",
        ),
        Candidate(
            "trackio",
            "with_trackio",
            trackio,
            "metrics of training runs, local first",
            "its own server",
            ("trackio==0.43.0",),
            manner="what was not delivered stays on disk; the next run delivers it to a Space, not to a server of one's own",
        ),
        Candidate(
            "prometheus push",
            "with_prometheus",
            gateway,
            "the last figures of a batch job, pushed at its end",
            "stand-in for the push gateway",
            ("prometheus-client==0.26.0",),
            manner="30 s for a push (timeout=); each carries the total",
        ),
        Candidate(
            "sentry-sdk, messages",
            "with_sentry",
            messages,
            "errors and traces, losing some rather than slowing the app",
            "stand-in that takes envelopes",
            ("sentry-sdk==2.75.0",),
            manner="drops what cannot be sent at once; waits 2 s at the end (shutdown_timeout)",
        ),
        Candidate(
            "sentry-sdk, metrics",
            "with_sentry_metrics",
            counts,
            "counts beside errors and traces",
            "stand-in that takes envelopes",
            ("sentry-sdk==2.75.0",),
            manner="sends what was counted every 5 s or so, drops what cannot be sent then",
        ),
        Candidate(
            "requests.post",
            "with_requests",
            posts,
            "HTTP; the reference: no reporter at all",
            "stand-in that takes JSON",
            ("requests==2.34.2",),
            manner="no time limit (timeout=); a status of 503 raises nothing; each post carries the total",
        ),
        Candidate(
            "httpx.post",
            "with_httpx",
            posts,
            "HTTP; the reference: no reporter at all",
            "stand-in that takes JSON",
            ("httpx==0.28.1",),
            manner="5 s for a post (timeout=); a status of 503 raises nothing; each post carries the total",
        ),
    ]
