"""The corpus in tests/cheats/: programs that try to get more than they have earned.

Each is a file of Python (but called .txt: pytest would run some of them for us) that
begins with a sentence on what it does, and comments that say:

    # step: 02_echo         what it is handed in for
    # says: REGEX           what a person must be able to read in its result
    # never: REGEX          what nobody may read there
    # zero: TEST TEST       the tests that must earn nothing (default: all)
    # earns: all            it is no cheat but an accident: it earns all but those
    # needs: walls          it can only be kept out with walls
    # insert: solution      stands for the kit's own solution

A line `# ==== PATH` begins another file of the submission. {KIT} is the kit's folder,
{MARK} a word to know its processes by, and {PORT} that of a server of somebody else.

Should one get through, a test is red, and that is all. So none takes more than 2 GB of
memory, 200 MB of the disk, or 200 processes, or lasts for more than two minutes; none
leaves this machine; signals go to its own parent and to nobody else; and of what is the
system's, it only tries whether it could be opened: nothing is ever written there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import proofs

CHEATS = Path(__file__).with_name("cheats")


@dataclass(frozen=True)
class Cheat:
    """One of them."""

    name: str  # peeking/reads_tests
    about: str
    step: str
    says: str
    never: str
    zero: tuple[str, ...]
    harmless: bool
    needs_walls: bool
    files: dict[str, str]

    def write(self, folder: Path, mark: str = "", port: int = 9) -> None:
        """Make a submission of it."""
        known = {"{KIT}": str(proofs.ROOT), "{MARK}": mark, "{PORT}": str(port)}
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for word, value in known.items():
                text = text.replace(word, value)  # noqa: PLW2901
            path.write_text(text, encoding="utf-8")


def cheats() -> list[Cheat]:
    """Return all of them."""
    return [_cheat(path) for path in sorted(CHEATS.rglob("*.txt"))]


def _cheat(path: Path) -> Cheat:
    text = path.read_text(encoding="utf-8")
    said = dict(re.findall(r"^# (\w+): (.+)$", text, re.MULTILINE))
    step = said["step"]
    main = proofs.STEPS[step].files[0]
    parts = re.split(r"^# ==== (.+)\n", text, flags=re.MULTILINE)
    files = {f"{step}/{main}": "".join(_filled(parts[0], step))}
    return Cheat(
        name=path.relative_to(CHEATS).with_suffix("").as_posix(),
        about=text.split('"""')[1],
        step=step,
        says=said.get("says", ""),
        never=said.get("never", ""),
        zero=tuple(said.get("zero", "").split()),
        harmless=said.get("earns") == "all",
        needs_walls=said.get("needs") == "walls",
        files=files | dict(zip(parts[1::2], parts[2::2], strict=True)),
    )


def _filled(text: str, step: str) -> Iterator[str]:
    solution = proofs.SOLUTIONS / step / proofs.STEPS[step].files[0]
    for line in text.splitlines(keepends=True):
        if line == "# insert: solution\n":
            yield solution.read_text(encoding="utf-8")
        elif line == "# insert: chain\n":
            yield f"x = 1\nx = x{'.x' * 200_000}\n"
        else:
            yield line
