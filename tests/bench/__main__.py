"""Measure the chat server side by side with other designs.

python tests/bench --quick
python tests/bench --servers reference,go --scenarios 50/1,calm --repeats 3
python tests/bench --add mine="python my_server.py"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import table
from chart import draw
from scenarios import QUICK, SCENARIOS, Flood, Outcome, Paced, Scenario, run
from servers import SERVERS, Server, added


def main() -> int:
    """Run the command line; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    options = _parser().parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    servers = _servers(options)
    scenarios = _scenarios(options)
    outcomes: list[Outcome] = []
    code = 0
    try:
        _run_all(options, servers, scenarios, outcomes)
    except KeyboardInterrupt:
        print("note: interrupted; this is what there is", file=sys.stderr)
        code = 130
    for scenario in scenarios:
        print(f"\n{table.render(scenario, servers, outcomes)}")
    print("\n" + "\n".join(f"  {s.name.ljust(12)} {s.about}" for s in servers))
    for note in table.notes(outcomes):
        print(f"note: {note}")
    _save(options, servers, scenarios, outcomes)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--servers", metavar="A,B", help="only these; first: the ratios"
    )
    parser.add_argument("--scenarios", metavar="A,B", help="only these")
    parser.add_argument("--add", metavar="NAME=COMMAND", action="append", default=[])
    parser.add_argument("--seconds", type=float, help="measured seconds in each run")
    parser.add_argument("--repeats", type=int, default=1, help="runs; median is shown")
    parser.add_argument("--quick", action="store_true", help="short runs, small crowd")
    parser.add_argument(
        "--quiet-wait",
        type=float,
        default=0,
        metavar="SECONDS",
        help="before each run wait so long for an idle machine",
    )
    parser.add_argument("--python", default=sys.executable, help="for Python servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw, .svg or .png")
    parser.add_argument("--list", action=_List, nargs=0, help="name all and exit")
    return parser


class _List(argparse.Action):
    """Print what there is to choose from."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        for server in SERVERS:
            print(f"server    {server.name.ljust(12)} {server.about}")
        for scenario in SCENARIOS:
            print(f"scenario  {scenario.name.ljust(12)} {scenario.title}")
        parser.exit()


def _servers(options: argparse.Namespace) -> list[Server]:
    """Return the servers asked for that are here; say why others are not."""
    known = {s.name: s for s in [*SERVERS, *map(added, options.add)]}
    present = []
    for name in _chosen(options.servers, list(known)):
        if reason := known[name].missing():
            print(f"skipped {name}: {reason}")
        else:
            present.append(known[name])
    return present


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    known = {s.name: s for s in (QUICK if options.quick else SCENARIOS)}
    chosen = [known[name] for name in _chosen(options.scenarios, list(known))]
    if not options.seconds:
        return chosen
    return [
        replace(s, seconds=options.seconds) if isinstance(s, Flood | Paced) else s
        for s in chosen
    ]


def _chosen(text: str | None, known: Sequence[str]) -> list[str]:
    """Return the names in text, all if None; an unknown one ends the program."""
    names = text.split(",") if text else list(known)
    for name in names:
        if name not in known:
            sys.exit(f"unknown: {name}; there are {', '.join(known)}")
    return names


def _run_all(
    options: argparse.Namespace,
    servers: list[Server],
    scenarios: list[Scenario],
    outcomes: list[Outcome],
) -> None:
    """Measure all and append the outcomes, one server after the other.

    A repeat begins when all have had their turn: a slow minute hits everybody.
    """
    for repeat in range(options.repeats):
        for scenario in scenarios:
            for server in servers:
                step = f"{repeat + 1}/{options.repeats} {scenario.name} {server.name}"
                outcome = run(scenario, server, options.python, options.quiet_wait)
                outcomes.append(outcome)
                first = scenario.metrics[0]
                text = outcome.failure or table.figure(
                    outcome.values[first.key], first.unit
                )
                print(f"{step}: {text}", file=sys.stderr, flush=True)


def _save(
    options: argparse.Namespace,
    servers: list[Server],
    scenarios: list[Scenario],
    outcomes: list[Outcome],
) -> None:
    """Write the files asked for."""
    if options.json:
        report = {
            "machine": {
                "system": platform.platform(),
                "processors": os.cpu_count(),
                "python": platform.python_version(),
                "servers run by": options.python,
            },
            "scenarios": [asdict(s) for s in scenarios],
            "outcomes": [asdict(outcome) for outcome in outcomes],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        try:
            draw(options.plot, scenarios, servers, outcomes)
        except ImportError:
            print("note: no picture without matplotlib: pip install matplotlib")


if __name__ == "__main__":
    sys.exit(main())
