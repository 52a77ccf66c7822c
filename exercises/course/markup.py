"""The pages' templates, and what several of them need. They look as the grader's."""

from functools import cache
from typing import Any

from jinja2 import Environment

from course.telling import number
from grading.pages import encoded, environment
from grading.places import EXERCISES

TEMPLATES = EXERCISES / "course" / "templates" / "report"


def page(template: str, **values: Any) -> str:
    """Return a page that can be written as UTF-8."""
    return encoded(_environment().get_template(template).render(values)).decode()


@cache
def _environment() -> Environment:
    made = environment(TEMPLATES)
    made.filters["number"] = number
    return made
