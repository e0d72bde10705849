"""`python -m tests.simulation`: seeds, hours and mutations; the last line is one JSON record."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from tests.simulation.mutations import BUGS, planted
from tests.simulation.script import Script, draw
from tests.simulation.session import Result, play
from tests.simulation.shrink import shrink
from tests.simulation.steps import NEVER, every_step, script_of
from tests.simulation.total import Total
from tests.simulation.workers import Play, played
from tradingd.app.identity import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the seeds; 1 as soon as one breaks a law, 0 when none does."""
    settings = _parser().parse_args(arguments)
    if settings.plant == "list":
        for name, (text, _) in BUGS.items():
            _publish(f"{name:24} {text}")
        return 0
    silence()
    total, broken = Total(), None
    with planted(settings.plant):
        with closing(played(_plays(settings), settings.config, settings.jobs)) as results:
            for script, result in results:
                total.add(result, script.hours)
                _progress(total, result, settings)
                if result.findings:
                    broken = script, result
                    break
        if broken is not None:
            _report(*broken, settings)
    _publish(json.dumps(total.record() | ({"plant": settings.plant} if settings.plant else {})))
    return 1 if broken is not None else 0


def _plays(settings: argparse.Namespace) -> Iterator[Play]:
    for seed in range(settings.seed, settings.seed + settings.seeds):
        if settings.every_step:
            whole = play(script_of(seed, NEVER), settings.config, is_audited=False)
            yield from every_step(seed, whole.steps, settings.every_step)
        else:
            yield Play(draw(seed, settings.hours), seed % settings.audit_every == 0)


def _progress(total: Total, result: Result, settings: argparse.Namespace) -> None:
    if settings.verbose:
        _publish(total.line(result))
    if settings.progress_every and total.played % settings.progress_every == 0:
        sys.stderr.write(json.dumps(total.record()) + "\n")
        sys.stderr.flush()


def _report(script: Script, broken: Result, settings: argparse.Namespace) -> None:
    """Name the seed, what it broke, and the fewest troubles that break it."""
    _publish(f"seed {broken.seed} breaks the law, build {build()}:")
    for finding in broken.findings[:5]:
        _publish(f"  {finding}")
    if settings.no_shrink:
        return
    law = broken.findings[0].law

    def breaks(shorter: Script) -> bool:
        result = play(shorter, settings.config, is_audited=law == "I15")
        return any(each.law == law for each in result.findings)

    short = shrink(script, breaks, settings.shrink_plays)
    _publish(f"with {len(short.troubles)} of {len(script.troubles)} troubles:")
    for trouble in short.troubles:
        _publish(f"  {trouble}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--hours", type=float, default=1.0, help="market hours of each")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument(
        "--plant", default="", choices=["", "list", *BUGS], help="a bug to be found, or list"
    )
    parser.add_argument("--config", type=Path, default=Path("config/mock.toml"))
    parser.add_argument(
        "--every-step", type=int, nargs="?", const=1, default=0, metavar="STRIDE",
        help="instead: a short session of each seed, crashing at each step of it, or at each n-th",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that play")
    parser.add_argument("--audit-every", type=int, default=1, help="replay the log of every n-th")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer troubles")
    parser.add_argument("--shrink-plays", type=int, default=80, help="sessions spent on that")
    parser.add_argument("--progress-every", type=int, default=0, metavar="SEEDS",
                        help="tell the record so far on standard error")  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="a line for each seed")
    return parser


def silence() -> None:
    """Drop every log line: what a session did is in its order log."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50),
        processors=[lambda *_: ""],
        logger_factory=structlog.ReturnLoggerFactory(),
    )


def _publish(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
