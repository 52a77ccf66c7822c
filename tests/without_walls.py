"""`python exercises`, as on a system that can build no walls."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "exercises"))

from grading import walls
from grading.guide import main

if __name__ == "__main__":
    walls.has_walls = lambda: False
    sys.exit(main())
