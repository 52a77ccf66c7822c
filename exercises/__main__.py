"""`python exercises`: the guide through the steps. All of it is in `grading.guide`."""

import sys

from grading.guide import main

if __name__ == "__main__":
    sys.exit(main())
