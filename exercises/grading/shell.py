"""Commands for a shell that write the bytes of an event, or do what nc cannot do.

They are for sh(1), and hold in every shell like it: printf with octal escapes, and
Python in double quotes that has none of the characters which mean something there.
"""

import re
from collections.abc import Iterable

from grading.transcript import HEAD, Event

HOST = "127.0.0.1"
PORT = 5000

SAFE = re.compile(r"[\w .,:/-]+\n?", re.ASCII)  # needs no escape anywhere

# Python without double quotes, so that it can stand between them.
IMPORT = "import socket, struct"
CONNECT = "s = socket.create_connection(('{HOST}', {port}))"
ACCEPT = [f"l = socket.create_server(('{HOST}', {PORT}))", "s, _ = l.accept()"]
LINGER_0 = "socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)"
RESET = [f"s.setsockopt({LINGER_0})", "s.close()"]


def printing(event: Event) -> str:
    """Return a command that writes what was sent; of shortened data about as much."""
    if event.left_out:
        return f'python -c "{_much(event)}"'
    return f"printf '{escaped(event.data)}'"


def escaped(data: bytes) -> str:
    r"""Return a format for printf(1): hi\n, %%, and \303\251 for what is no ASCII."""
    text = "".join(map(_escape, data))
    return f"\\055{text[1:]}" if text.startswith("-") else text  # it is no option


def _escape(byte: int) -> str:
    known = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x25: "%%", 0x5C: "\\\\"}
    if byte in known:
        return known[byte]
    return chr(byte) if 0x20 <= byte < 0x7F and byte != 0x27 else f"\\{byte:03o}"


def _much(event: Event) -> str:
    """Return Python that prints the first line, or else one letter, very often."""
    size = len(event.data) + event.left_out
    head, end, _ = event.data[:HEAD].partition(b"\n")
    line = head.decode(errors="replace")
    if end and SAFE.fullmatch(line):
        return f"print('{line}\\n' * {size // len(head + end)}, end='')"
    letter = line[:1] if SAFE.fullmatch(line[:1]) else "x"
    if not line.isascii() and "\ufffd" not in line[:-1]:
        letter = "\u20ac"  # of three bytes: it may come in two pieces
    ended = event.data.endswith(b"\n")
    count = (size - ended) // len(letter.encode())
    return (
        f"print('{letter}' * {count})"
        if ended
        else f"print('{letter}' * {count}, end='')"
    )


def resetting(
    pieces: Iterable[tuple[bool, Event]], *, listens: bool, port: int = PORT
) -> str:
    """Return the one thing that nc cannot do: SO_LINGER 0, then close() sends RST.

    Before it the pieces are sent, each after a wait for Enter if that is wanted.
    """
    connect = [CONNECT.format(HOST=HOST, port=port)]
    code = [IMPORT, *(ACCEPT if listens else connect)]
    for waits, event in pieces:
        code += ["input()"] if waits else []
        code += [_sendall(event)] if event.kind == "sent" else []
    return f'python -c "{"; ".join(code + RESET)}"'


def _sendall(event: Event) -> str:
    if event.left_out:
        size = len(event.data) + event.left_out
        line = event.data[: event.data.find(b"\n", 0, HEAD) + 1]
        if SAFE.fullmatch(line.decode(errors="replace")):
            text = "".join(map(_hexadecimal, line))
            return f"s.sendall(b'{text}' * {size // len(line)})"
        return f"s.sendall(b'x' * {size})"
    return f"s.sendall(b'{''.join(map(_hexadecimal, event.data))}')"


def _hexadecimal(byte: int) -> str:
    if byte == 0x0A:
        return "\\n"
    return chr(byte) if SAFE.fullmatch(chr(byte)) else f"\\x{byte:02x}"
