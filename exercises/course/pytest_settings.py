"""What pytest needs of pyproject.toml, for those who get only a part of the kit."""

import re

from grading.places import KIT


def settings_of_pytest() -> bytes:
    """Return that part, as a file; a bare `pytest` grades the exercises."""
    text = (KIT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^\[tool\.pytest\..*?(?=^\[|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found
    only = re.compile(r"^(testpaths|pythonpath) = .*$", re.MULTILINE)
    return (only.sub(r'\1 = ["exercises"]', found[0]).rstrip() + "\n").encode()
