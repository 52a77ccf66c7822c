"""What the README says is so: its commands run, its links and options exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grading.deadlines import EXIT
from grading.harness import Harness

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
SCRIPTED = [line for line in COMMANDS if line.startswith("printf ")]


def test_links_lead_somewhere() -> None:
    """Every file that the README links to is there."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_main_command_is_the_first() -> None:
    """And it is the one that runs the server, on the default port."""
    assert COMMANDS[0] == "python server/mchat.py"


@pytest.mark.parametrize("program", ["server/mchat.py", "client/chat.py"])
def test_options_exist(program: str) -> None:
    """Every option that the README shows for the programs is in a --help."""
    shown = subprocess.run(
        [sys.executable, ROOT / program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=EXIT,
    ).stdout
    options = set(re.findall(r"`(--[a-z-]+)`", README)) - {"--help"}
    theirs = {"server/mchat.py": options, "client/chat.py": {"--name"}}[program]
    assert theirs <= set(re.findall(r"--[a-z-]+", shown))


@pytest.mark.parametrize("command", SCRIPTED)
@pytest.mark.skipif(sys.platform == "win32", reason="commands for a POSIX shell")
def test_scripted_use(harness: Harness, command: str) -> None:
    """The commands that use the chat from a script do, against a real server."""
    if " nc " in command and "openbsd" not in str(
        Path(shutil.which("nc") or "").resolve()
    ):
        pytest.skip("needs OpenBSD's nc for -N")
    server = harness.start(
        ROOT / "server" / "mchat.py", "--host", "127.0.0.1", "--port", 0
    )
    assert server.address is not None
    alice = harness.connect(server, "alice")
    alice.expect_lines(1)
    line = command.replace("python client", f"{sys.executable} client")
    shown = subprocess.run(
        ["/bin/sh", "-c", line.replace("5000", str(server.address[1]))],
        capture_output=True,
        text=True,
        check=True,
        timeout=EXIT,
        cwd=ROOT,
    ).stdout
    assert "* welcome, you are guest2; here: guest1;" in shown
    if "/who" in command:
        assert "* here (2): guest1, guest2" in shown
    else:
        alice.expect_eventually("[cron] backup done")


def test_page_of_clients_is_what_the_tests_hold() -> None:
    """CLIENTS.md ends with the table that the tests of the real clients are made of."""
    printed = subprocess.run(
        [sys.executable, ROOT / "tests" / "real_clients.py"],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=True,
        timeout=EXIT,
    ).stdout
    assert (ROOT / "tests" / "CLIENTS.md").read_text(encoding="utf-8").endswith(printed)
