"""What a grading process says of a test, as one line of JSON.

JSON and nothing else: whoever reads it need not trust who wrote it. Bytes, which are
what travels over a socket, become {"base64": "..."}.
"""

import base64
import json
from dataclasses import is_dataclass
from typing import Any


def as_line(facts: dict[str, Any]) -> str:
    """Return the line, with its end."""
    return to_json(facts) + "\n"


def to_json(facts: dict[str, Any]) -> str:
    """Return strings, numbers, bytes, lists, dictionaries and dataclasses as JSON.

    The latter become dictionaries. (To do that before, by asdict(), takes far longer.)
    """
    return json.dumps(facts, default=_encoded)


def from_json(text: str) -> dict[str, Any]:
    """Undo that. Raise ValueError if it is no such text."""
    facts = json.loads(text, object_hook=_decoded)
    if not isinstance(facts, dict):
        raise ValueError("not what a grading process writes")
    return facts


def _encoded(value: object) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if is_dataclass(value):
        return vars(value)
    raise TypeError(f"not to be written as JSON: {value!r}")


def _decoded(fields: dict[str, Any]) -> object:
    if fields.keys() == {"base64"}:
        return base64.b64decode(fields["base64"])
    return fields
