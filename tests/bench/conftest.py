"""Let the test import the benchmark's modules by bare name, as the benchmark does."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
