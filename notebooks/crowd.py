"""Many clients at once, and servers that count their sends: for notebook 3.

    with Harness() as harness:
        server = harness.start(*crowd.DESIGNS["queue"])
        with crowd.Crowd(server, 100) as everybody:
            print(everybody.deliveries())

The clients are those of tests/bench.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kit

# isort: split
# What follows is found only now.
from grading.harness import Harness
from grading.mismatch import ANY_LINE
from grading.program import Program
from load import Load, Wire
from scenarios import EARS, quantile
from worker import Worker

COUNTED = Path(__file__).with_name("counted.py")
DESIGNS = {**kit.PEERS, "reference": (*kit.MCHAT, "--rate", 0)}
LOOKS = [(kit.RED, "--", "s"), (kit.GREEN, "-.", "^"), (kit.PURPLE, ":", "D")]
LOOKS += [(kit.BLUE, "-", "o")]
STYLES = {
    name: {"label": name, "color": color, "linestyle": line, "marker": marker}
    for name, (color, line, marker) in zip(DESIGNS, LOOKS, strict=True)
}

SPEAKERS = 10  # of the crowd; the others only listen
PATIENCE = 60.0  # seconds for all to arrive, on a machine however busy
LATE = 2.0  # seconds; a line that takes longer counts as taking so long
LONG = 0.05  # seconds, at least, to deliver a long text


class Crowd(Load):
    """The clients of the benchmark, in this process instead of others.

    Within the `with` block all are connected, and each hears all the others.
    """

    def __init__(self, server: Program, clients: int) -> None:
        """Have `clients` of them come in."""
        assert server.address is not None
        self.port, self.wire, self.count = server.address[1], Wire(), clients
        self.speakers = range(min(SPEAKERS, clients))
        self.frames, self.said = {}, {}
        self._shares = [range(clients)]
        self._pipes = [None]  # type: ignore[list-item]  # one worker: this process
        self._worker = Worker()

    def __enter__(self) -> "Crowd":
        """Let them in; learn how long a line of each speaker is."""
        self.connect(PATIENCE)
        self.calibrate()
        self.settle(PATIENCE)
        return self

    def say(self, lines: int) -> float:
        """Let one say so many lines at once; return seconds until all others have all.

        It raises `load.Failure` if a line gets lost.
        """
        begun = time.perf_counter()
        self._worker.clients[0].say(self.wire.line("all at once") * lines)
        self.said[0] += lines
        self.settle(PATIENCE)
        return time.perf_counter() - begun

    def deliveries(self) -> float:
        """Let one say a long text; return lines received, by all others, a second."""
        lines = 50
        while (seconds := min(self.say(lines), self.say(lines))) < LONG:
            lines *= 4
        return lines * (self.count - 1) / seconds

    def delays(self, rate: float, seconds: float = 0.25) -> Callable[[float], float]:
        """Let the speakers take turns, `rate` lines a second in all.

        Return a function: the delay in seconds that this part of the lines kept.
        """
        (heard,) = self.paced(
            rate=round(rate),
            warm=0.05,
            seconds=seconds,
            stride=max(1, self.count // EARS),
            patience=LATE,
        )
        delays = sorted(heard.delays)
        self.settle(PATIENCE)
        return lambda part: min(LATE, quantile(delays, heard.due, part))

    def _ask(
        self, method: str, calls: Any, seconds: float, *, workers: int | None = None
    ) -> list[Any]:
        return [getattr(self._worker, method)(*calls[0])]

    def close(self) -> None:
        """Let all of them leave."""
        for client in self._worker.clients.values():
            client.sock.close()


def start_counted(
    harness: Harness, design: str
) -> tuple[Program, Callable[[], tuple[int, int]]]:
    """Start a server that counts; return it, and what asks it.

    The answer: sends so far, and how often its threads stopped to wait.
    """
    desk = harness.listen("desk")
    server = harness.start(COUNTED, desk.address[1], *DESIGNS[design])
    clerk = desk.accept(server)

    def ask() -> tuple[int, int]:
        clerk.send("how many?")
        sends, waits = clerk.expect(ANY_LINE)[0].split()
        return int(sends), int(waits)

    return server, ask
