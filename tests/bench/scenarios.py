"""The scenarios: what is done to a server, and what is measured.

Each kind of scenario has a title, metrics (the columns of its table) and a method
`measure` that returns the figures by name.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from load import TEXT, Behind, Failure, Load
from servers import Running, Server, running

EARS = 50  # at most so many clients are timed in a paced scenario
CONNECT = 90.0  # seconds for everybody to come in
BACKLOG = 30.0  # seconds after a flood for all of it to arrive
# Seconds between two looks of a listener. Neither suits every design: to fast ones a
# lazy listener is a slow client, to be dropped; some slow ones were seen to deliver
# more to the lazy, probably because each reading takes time and wakes the server.
EAGER = 0.002
LAZY = 0.1
ROOM = 128 << 10  # bytes; what a listener may leave unread, the usual receive buffer
LATE = 10.0  # seconds after a paced run for all of it to arrive
LINES_TO_ALL = 5  # lines said in a crowd, one after the other
LOOK = 0.3  # seconds to watch the processors
IDLE = 3  # the column of /proc/stat
CALM = 0.95  # of the processors idle


@dataclass(frozen=True)
class Metric:
    """A column: what its figures are called and how they compare."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False


@dataclass
class Outcome:
    """What one run of one server in one scenario gave."""

    server: str
    scenario: str
    values: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    idle: float = 1.0  # share of the processors that was idle just before the run


@dataclass(frozen=True)
class Flood:
    """Some of the clients speak as fast as they can: deliveries a second."""

    name: str
    clients: int
    speakers: int
    warm: float = 1.0
    seconds: float = 3.0

    @property
    def title(self) -> str:
        """One line for people."""
        who = {1: "1 speaks", self.clients: "all speak"}
        some = f"{self.speakers} speak"
        return f"{self.clients} clients, {who.get(self.speakers, some)} flat out"

    @property
    def metrics(self) -> list[Metric]:
        """The columns, in order."""
        return [Metric("rate", "deliveries/s", "/s", more_is_better=True)]

    def measure(self, server: Server, host: Running) -> dict[str, float]:
        """Flood eager listeners, then lazy ones if they keep up; take the better."""
        with Load(
            host.port, server.wire, clients=self.clients, speakers=self.speakers
        ) as load:
            load.connect(CONNECT)
            load.calibrate()
            best = self._burst(load, host, EAGER)
            if best["each"] * LAZY < ROOM:
                lazy = self._burst(load, host, LAZY)
                best = max(best, lazy, key=lambda figures: figures["rate"])
        return best

    def _burst(self, load: Load, host: Running, nap: float) -> dict[str, float]:
        """Flood once; the figures count only if all of it arrives."""
        heard = load.flood(warm=self.warm, seconds=self.seconds, nap=nap)
        host.check()
        drain = load.settle(BACKLOG)
        units = sum(part.units / part.seconds for part in heard)
        if not units:
            raise Failure("froze")
        rate = units / load.frame()
        return {
            "rate": rate,
            "each": rate * (TEXT + 1) / self.clients,  # bytes/s a client hears, about
            "nap": nap,
            "drain": drain,
            "busy": max(part.busy for part in heard),
        }


@dataclass(frozen=True)
class Paced:
    """Everybody speaks in turn, so many lines a second in all: the delay."""

    name: str
    clients: int
    rate: int
    warm: float = 1.0
    seconds: float = 5.0

    @property
    def title(self) -> str:
        """One line for people."""
        return f"{self.clients} clients, {self.rate} lines/s in all"

    @property
    def metrics(self) -> list[Metric]:
        """The columns, in order."""
        return [Metric("p50", "median", "s"), Metric("p99", "99 %", "s")]

    def measure(self, server: Server, host: Running) -> dict[str, float]:
        """Time the lines at the ears; a line that never comes is infinitely late."""
        with Load(
            host.port, server.wire, clients=self.clients, speakers=self.clients
        ) as load:
            load.connect(CONNECT)
            load.calibrate()
            heard = load.paced(
                rate=self.rate,
                warm=self.warm,
                seconds=self.seconds,
                stride=max(1, self.clients // EARS),
                patience=LATE,
            )
            host.check()
            # What did not come in time is in the figures: as infinitely late.
            with contextlib.suppress(Behind):
                load.settle(LATE)
        delays = sorted(delay for part in heard for delay in part.delays)
        lags = sorted(lag for part in heard for lag in part.lags)
        due = sum(part.due for part in heard)
        return {
            "p50": quantile(delays, due, 0.5),
            "p99": quantile(delays, due, 0.99),
            "busy": max(part.busy for part in heard),
            "lag": quantile(lags, len(lags), 0.99),
        }


@dataclass(frozen=True)
class Crowd:
    """Very many are connected and one says a line: delay and memory."""

    name: str
    clients: int
    workers: int = 2

    @property
    def title(self) -> str:
        """One line for people."""
        return f"{self.clients:,} clients, one line to all"

    @property
    def metrics(self) -> list[Metric]:
        """The columns, in order."""
        return [
            Metric("p50", "median", "s"),
            Metric("all", "all have it", "s"),
            Metric("memory", "memory", "B"),
            Metric("each", "a client", "B"),
        ]

    def measure(self, server: Server, host: Running) -> dict[str, float]:
        """Say some lines to all, waiting each time until everybody has it."""
        empty = host.memory()
        with Load(
            host.port,
            server.wire,
            clients=self.clients,
            speakers=1,
            workers=self.workers,
        ) as load:
            load.connect(CONNECT)
            rounds = [load.shout(0, LATE) for _ in range(LINES_TO_ALL)]
            host.check()
            memory = host.memory()
        if lost := max(missing for _, missing in rounds):
            raise Failure(f"{lost} not reached")
        return {
            "p50": statistics.median(statistics.median(d) for d, _ in rounds),
            "all": statistics.median(max(delays) for delays, _ in rounds),
            "memory": memory,
            "each": (memory - empty) / self.clients,
        }


Scenario = Flood | Paced | Crowd

SCENARIOS: list[Scenario] = [
    Flood("50/1", 50, 1),
    Flood("50/10", 50, 10),
    Flood("200/all", 200, 200),
    Flood("500/5", 500, 5),
    Paced("calm", 10, 100),
    Paced("busy", 500, 1000),
    Crowd("crowd", 10_000),
]

QUICK: list[Scenario] = [
    Flood("50/1", 50, 1, warm=0.5, seconds=1),
    Flood("50/10", 50, 10, warm=0.5, seconds=1),
    Flood("200/all", 200, 200, warm=0.5, seconds=1),
    Flood("500/5", 500, 5, warm=0.5, seconds=1),
    Paced("calm", 10, 100, warm=0.5, seconds=2),
    Paced("busy", 500, 1000, warm=0.5, seconds=2),
    Crowd("crowd", 1000),
]


def run(
    scenario: Scenario, server: Server, python: str, patience: float = 0
) -> Outcome:
    """Start a fresh server, measure it, end it; whatever goes wrong is in the result.

    Before, wait up to `patience` seconds for the machine to be quiet.
    """
    outcome = Outcome(server.name, scenario.name, idle=quiet(patience))
    try:
        with running(server, scenario.clients, python) as host:
            try:
                outcome.values = scenario.measure(server, host)
            except Failure:
                host.check()  # That the server died says more.
                raise
    except Failure as failure:
        outcome.failure = str(failure)
    return outcome


def quiet(patience: float) -> float:
    """Wait until the processors are 95 % idle; return the idle share seen last."""
    deadline = time.monotonic() + patience
    while True:
        before = _ticks()
        time.sleep(LOOK)
        after = _ticks()
        total = sum(after) - sum(before)
        idle = (after[IDLE] - before[IDLE]) / total if total else 1.0
        if idle > CALM or time.monotonic() > deadline:
            return idle


def _ticks() -> list[int]:
    """Return what all processors did so far, as proc(5) counts; zeros elsewhere."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return [0] * (IDLE + 1)
    return [int(word) for word in first.split()[1:]]


def quantile(delays: list[float], due: int, part: float) -> float:
    """Return the delay that `part` of `due` lines kept; infinite for those not come."""
    index = math.ceil(part * due) - 1
    return delays[index] if index < len(delays) else math.inf
