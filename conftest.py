"""Fixtures for tests/ and exercises/; see exercises/grading/fixtures.py."""

pytest_plugins = ["grading.fixtures"]
