"""Talking in a terminal where what arrives never disturbs the line being typed.

That is the work of prompt_toolkit. Here, one thread does everything: asyncio lets
it wait for the keyboard and for the server at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from prompt_toolkit import ANSI, PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.shortcuts import CompleteStyle

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from chat import Chat


def talk(chat: Chat) -> None:
    """Talk until one side ends it. Blocks; Ctrl-C raises KeyboardInterrupt."""
    chat.sock.setblocking(False)
    # Or it asks the terminal where the cursor is, and believes an answer that comes
    # when we have shown more: then rows scroll away. Nothing here needs to know.
    os.environ["PROMPT_TOOLKIT_NO_CPR"] = "1"
    with _terminal_kept():
        asyncio.run(_talk(chat))


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Leave the terminal as it was. (SIGTERM may come while it is being changed.)"""
    if termios is None:
        yield
        return
    modes = termios.tcgetattr(0)
    try:
        yield
    finally:
        with suppress(OSError, termios.error):  # there is no terminal any more
            if os.tcgetpgrp(0) == os.getpgrp():  # else it is somebody else's by now
                termios.tcsetattr(0, termios.TCSANOW, modes)


async def _talk(chat: Chat) -> None:
    session: PromptSession[str] = PromptSession(
        completer=WordCompleter(chat.screen.people.words, ignore_case=True, WORD=True),
        complete_while_typing=False,  # but with Tab
        complete_style=CompleteStyle.READLINE_LIKE,
        enable_suspend=True,  # Ctrl-Z
    )
    receiving = asyncio.create_task(_receive(chat, session))
    receiving.add_done_callback(lambda _: _end_prompt(session))
    with suppress(EOFError):  # Ctrl-D, or `_end_prompt`
        while not (chat.left or receiving.done()):
            await _send(chat, await session.prompt_async("> "))
    if not receiving.done():
        chat.leave()
        await asyncio.wait([receiving], timeout=chat.GOODBYE)


async def _send(chat: Chat, text: str) -> None:
    """Send what was typed: one line, or several if it was pasted."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # the connection is gone, as `_receive` finds out too
        for line in text.split("\n"):
            await loop.sock_sendall(chat.sock, chat.frame(f"{line}\n"))


async def _receive(chat: Chat, session: PromptSession[str]) -> None:
    """Show what arrives above the prompt, until the connection ends."""
    loop = asyncio.get_running_loop()
    data = b"something"
    while data:
        try:
            data = await loop.sock_recv(chat.sock, chat.PIECE)
        except OSError as exc:
            data = chat.broken(exc)
        if text := chat.screen.take(data):
            _show(session.app, text)


def _show(app: Application[str], text: str) -> None:
    """Show text above the prompt, cursor and typed line untouched.

    Without leaving raw mode, as `in_terminal()` would: the terminal then echoes, and
    takes for itself, what is typed just now.
    """
    if app.is_running:
        app.renderer.erase()  # takes the prompt away
    app.print_text(ANSI(text))
    app.invalidate()  # puts it back


def _end_prompt(session: PromptSession[str]) -> None:
    future = session.app.future
    if future is not None and not future.done():
        session.app.exit(exception=EOFError)
