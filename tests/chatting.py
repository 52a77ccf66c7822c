"""What the tests of the whole server share: people who join, and a server in here."""

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from acceptor import Server
from grading.deadlines import EXIT
from grading.harness import Harness
from grading.people import Person
from grading.program import Program
from grading.ready import Address
from listener import listen
from session import Limits
from stopping import Stop

MCHAT = Path(__file__).parent.parent / "server" / "mchat.py"

WELCOME = re.compile(r"\* welcome, you are (guest\d+); .*")
STOPPING = "* the server is stopping, goodbye"

linux = sys.platform == "linux"
posix = sys.platform != "win32"


def here(*names: str) -> str:
    """Return the answer to /who."""
    return f"* here ({len(names)}): {', '.join(names)}"


def join(harness: Harness, server: Program | Address, name: str) -> Person:
    """Connect, and take the name `name`."""
    person = enter(harness, server, name)
    person.send(f"/nick {name}")
    person.expect(f"* you are now {name}")
    return person


def enter(
    harness: Harness, server: Program | Address, name: str, receive_buffer: int = 0
) -> Person:
    """Connect, and stay a guest; `name` is for the transcript."""
    person = harness.connect(server, name, receive_buffer)
    person.expect(WELCOME)
    return person


def gather(harness: Harness, server: Program | Address, *names: str) -> list[Person]:
    """Let people join one after the other; nobody has anything left to read."""
    people = [join(harness, server, name) for name in names]
    last = re.compile(rf"\* guest\d+ is now {names[-1]}")
    for person in people[:-1]:
        person.expect_eventually(last)
    return people


def queued(server: Program, name: str) -> int | None:
    """Return how many bytes wait for a member, None if it is not here.

    As the operator sees it, who gets the usage of /kick for a fence.
    """
    server.type("/who")
    server.type("/kick")
    row = rf"  {name} .* (\d+) bytes queued"
    found = server.expect_output(re.compile(rf"{row}|usage: .*"))
    if found[1] is None:
        return None
    server.expect_output(re.compile("usage: .*"))
    return int(found[1])


def talk_until_behind(
    waiting: Callable[[], int | None],
    speaker: Person,
    listener: Person,
    amount: int = 500_000,
) -> int:
    """Let `speaker` talk until `amount` bytes wait for somebody; return the lines.

    How much the system itself buffers differs; with Linux it is some 4 MB. Line
    `number` is the number and 1000 bytes more.
    """
    count = 0
    while (waiting() or 0) < amount:
        assert count < 40_000, "40 MB did not bring it behind"
        block = [numbered(count + number) for number in range(200)]
        speaker.send_bytes("".join(f"{line}\n" for line in block).encode())
        listener.expect_eventually(f"[{speaker.name}] {block[-1]}")
        count += len(block)
    return count


def numbered(number: int) -> str:
    """Return a long line that can be told from others."""
    return f"{number} {'x' * 1000}"


class ServerHere:
    """A server in this process, where its parts can be replaced."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Start it in a thread, without a limit of lines unless `limits` says so."""
        listener = listen("127.0.0.1", 0)
        self.address: Address = listener.getsockname()
        self.stop = Stop()
        self._server = Server(listener, limits or Limits(rate=0))
        self._thread = threading.Thread(target=self._server.serve, args=(self.stop,))
        self._thread.start()

    def queued(self, name: str) -> int | None:
        """Return how many bytes wait for a member, None if it is not here."""
        return self._server.delivery.call(self._queued, name)

    def _queued(self, name: str) -> int | None:
        member = self._server.room.find(name)
        return member.outbox.queued if member else None

    def __enter__(self) -> "ServerHere":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop it, and wait for its end."""
        self.stop.ask()
        self._thread.join(EXIT)
        assert not self._thread.is_alive()
        self.stop.close()
