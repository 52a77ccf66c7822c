"""Fixtures for tests/ and exercises/; see exercises/grading/."""

pytest_plugins = ["grading.fixtures", "grading.plugin"]
