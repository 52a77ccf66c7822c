"""What a report says in short, without what differs from run to run. Pure.

Two programs with the same mistake are told the same, but for the words, the numbers
and the ports of that run. This is how they are found to be alike.
"""

import re

from grading.diagnosis import diagnose
from grading.report import summary
from grading.story import Story


def gist(text: str) -> str:
    """Return summary and diagnosis on one line, with "..." and N for what varies."""
    text = re.sub(r'"[^"]*"', '"..."', text)
    return re.sub(r"(?<!\w)\d+\b", "N", " ".join(text.split()))


def gist_of(story: Story) -> str:
    """Return the gist of what a story tells."""
    return gist(" ".join([summary(story), *diagnose(story)]))
