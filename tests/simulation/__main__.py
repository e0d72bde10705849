"""`python -m tests.simulation`: seeds, hours and planted bugs; the last line is one JSON record."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from tests.simulation.crew import Play, played
from tests.simulation.planted import BUGS, planted
from tests.simulation.script import Script, draw
from tests.simulation.session import Result, play
from tests.simulation.shrink import shrink
from tests.simulation.steps import NEVER, every_step, script_of
from tests.simulation.total import Total
from tradingd.app.identity import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the seeds; 1 as soon as one breaks a law, 0 when none does."""
    told = _parser().parse_args(arguments)
    if told.plant == "list":
        for name, (text, _) in BUGS.items():
            _say(f"{name:24} {text}")
        return 0
    silence()
    total, broken = Total(), None
    with planted(told.plant):
        with closing(played(_plays(told), told.config, told.jobs)) as results:
            for script, result in results:
                total.add(result, script.hours)
                _progress(total, result, told)
                if result.findings:
                    broken = script, result
                    break
        if broken is not None:
            _tell(*broken, told)
    _say(json.dumps(total.record() | ({"plant": told.plant} if told.plant else {})))
    return 1 if broken is not None else 0


def _plays(told: argparse.Namespace) -> Iterator[Play]:
    for seed in range(told.seed, told.seed + told.seeds):
        if told.every_step:
            whole = play(script_of(seed, NEVER), told.config, is_audited=False)
            yield from every_step(seed, whole.steps, told.every_step)
        else:
            yield Play(draw(seed, told.hours), seed % told.audit_every == 0)


def _progress(total: Total, result: Result, told: argparse.Namespace) -> None:
    if told.verbose:
        _say(total.line(result))
    if told.progress_every and total.played % told.progress_every == 0:
        sys.stderr.write(json.dumps(total.record()) + "\n")
        sys.stderr.flush()


def _tell(script: Script, broken: Result, told: argparse.Namespace) -> None:
    """Name the seed, what it broke, and the fewest troubles that break it."""
    _say(f"seed {broken.seed} breaks the law, build {build()}:")
    for finding in broken.findings[:5]:
        _say(f"  {finding}")
    if told.no_shrink:
        return
    law = broken.findings[0].law

    def breaks(shorter: Script) -> bool:
        result = play(shorter, told.config, is_audited=law == "I15")
        return any(each.law == law for each in result.findings)

    short = shrink(script, breaks, told.shrink_plays)
    _say(f"with {len(short.troubles)} of {len(script.troubles)} troubles:")
    for trouble in short.troubles:
        _say(f"  {trouble}")


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


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
