"""Telnet commands: taken out of a byte stream, and answered.

A telnet client mixes commands into what its user types, each behind the byte
IAC (RFC 854). The filter offers nothing and refuses whatever is offered. That is
all a line-based server needs, and it lets `nc` share the port: a client that
sends no telnet is never sent any.

Pure: no sockets, no threads. Imports nothing of ours.
"""

IAC, DONT, DO, WONT, WILL, SB = 255, 254, 253, 252, 251, 250
AYT, SE, EOF = 246, 240, 236  # EOF: RFC 1184, section 2.5

# WONT and DONT are not answered: two peers that refuse refusals never stop.
REFUSAL = {DO: WONT, WILL: DONT}

# Real subnegotiations are shorter than 100 bytes. One that does not end must not
# swallow all that its sender will ever say.
SUBNEGOTIATION_LIMIT = 1024

I_AM_HERE = b"* yes, the server is here\r\n"

# What the next byte is: text; the command after IAC; the option after DO, DONT,
# WILL or WONT; inside a subnegotiation; after an IAC inside a subnegotiation.
TEXT, COMMAND, OPTION, INSIDE, INSIDE_COMMAND = range(5)


class TelnetFilter:
    """The telnet side of one connection; used by the thread that reads it."""

    __slots__ = ("_next", "_swallowed", "_verb", "ended")

    def __init__(self) -> None:
        self._next = TEXT
        self._verb = 0
        self._swallowed = 0
        #: The client has sent IAC EOF: it will say no more, but still listens.
        self.ended = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the text in `data` and the bytes to answer its commands with.

        `data` may begin and end anywhere, also in the middle of a command.
        """
        if self._next == TEXT and IAC not in data:
            return data, b""
        text, answer = bytearray(), bytearray()
        start, end = 0, len(data)
        while start < end:
            if self._next == TEXT:
                iac = data.find(IAC, start)
                stop = end if iac < 0 else iac
                text += data[start:stop]
                self._next = TEXT if iac < 0 else COMMAND
                start = stop + 1
            else:
                self._take(data[start], text, answer)
                start += 1
        return bytes(text), bytes(answer)

    def _take(self, byte: int, text: bytearray, answer: bytearray) -> None:
        """Take one byte of a command."""
        if self._next == COMMAND:
            self._command(byte, text, answer)
        elif self._next == OPTION:
            if self._verb in REFUSAL:
                answer += bytes((IAC, REFUSAL[self._verb], byte))
            self._next = TEXT
        else:
            self._inside(byte)

    def _command(self, byte: int, text: bytearray, answer: bytearray) -> None:
        self._next = TEXT
        if byte == IAC:
            text.append(IAC)
        elif byte > SB:
            self._verb = byte
            self._next = OPTION
        elif byte == SB:
            self._swallowed = 0
            self._next = INSIDE
        elif byte == AYT:
            answer += I_AM_HERE
        elif byte == EOF:
            self.ended = True
        elif byte < EOF:
            # No telnet command: a client without telnet has sent the byte 255.
            text += bytes((IAC, byte))

    def _inside(self, byte: int) -> None:
        self._swallowed += 1
        if self._next == INSIDE:
            self._next = INSIDE_COMMAND if byte == IAC else INSIDE
        else:
            self._next = TEXT if byte == SE else INSIDE
        if self._swallowed >= SUBNEGOTIATION_LIMIT:
            self._next = TEXT
