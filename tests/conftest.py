"""Settings of the tests of the kit itself."""

from hypothesis import settings

# The same examples in every run: a failure is there for everybody, or for nobody.
# No deadline: a busy machine is no failure.
settings.register_profile("kit", deadline=None, derandomize=True)
settings.load_profile("kit")
