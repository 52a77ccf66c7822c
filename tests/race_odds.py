"""How often are races caught? Measured, since a race is a matter of luck elsewhere.

    python tests/race_odds.py [--times 100] [--plain] [--only NAME]

For each wrong program whose mistake is a race, its meant test runs many times, with
another seed each time. `--plain` takes the harsh system away, to compare.
"""

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(ROOT / "exercises")]

import proofs
from grading.grader import Grader
from grading.processes import Family
from grading.program import Program
from proofs import Broken


class Gentle(Grader):
    """A grader on whose system nothing is harsh."""

    def run(
        self, name: str, *args: object, harsh: bool = False, hasty: bool = False
    ) -> Program:
        """Start a program as if `harsh` had not been asked for."""
        return super().run(name, *args, hasty=hasty)


def is_race(broken: Broken) -> bool:
    """Whether its meant test runs it on a harsh system."""
    source = proofs.STEPS[broken.step].grader.read_text(encoding="utf-8")
    _, _, after = source.partition(f"def {broken.test}(")
    return "harsh=True" in after.partition("\ndef ")[0]


def meant_test(broken: Broken) -> Callable[[Grader], None]:
    """Return the function of the test that is to catch it."""
    path = proofs.STEPS[broken.step].grader
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    test: Callable[[Grader], None] = getattr(module, broken.test)
    return test


def is_caught(broken: Broken, source: Path, seed: int, kind: type[Grader]) -> bool:
    """Run the meant test once."""
    step = proofs.STEPS[broken.step]
    with kind(step, source / broken.step, seed, Family) as grader:
        try:
            meant_test(broken)(grader)
            grader.finish()
        except AssertionError:
            return True
    return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    kind = Gentle if options.plain else Grader
    for broken in filter(is_race, proofs.broken_programs()):
        if options.only not in broken.name:
            continue
        with tempfile.TemporaryDirectory(prefix="race-") as folder:
            broken.write(Path(folder))
            seeds = range(1, options.times + 1)
            caught = sum(is_caught(broken, Path(folder), n, kind) for n in seeds)
        print(f"{broken.step} {broken.name:40} {caught}/{options.times}", flush=True)


if __name__ == "__main__":
    main()
