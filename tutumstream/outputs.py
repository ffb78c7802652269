"""Where log lines go. Nothing that happens there may harm what is logged about, nor hold it up."""

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from threading import Condition, Lock, Thread
from typing import Final

PATIENCE: Final = 0.1
"""Seconds that a line may take to be written before the next ones are only kept."""

KEPT_LINES: Final = 1000
"""Lines that are kept for a reader who does not read."""

FILE_BYTES: Final = 10 * 1024 * 1024
"""Size at which a log file is put aside."""

KEPT_FILES: Final = 9
"""Files that were put aside and are kept."""

_WIDEST: Final = len("\\U0001f600")
"""Bytes of a character that is shown by its number."""

Write = Callable[[bytes], object]


class Output:
    """Takes lines of text, whatever becomes of them.

    Args:
        write: takes bytes; raises OSError. None where standard output was closed before we began.
        encoding: what it can't express, as on a terminal of another century, is shown by its number, and not lost.
    """

    def __init__(self, write: Write | None, encoding: str = "utf-8") -> None:
        self._write = write
        self._encoding = encoding

    def write(self, line: str) -> None:
        """Write it, if somebody is there to read."""
        if self._write is None:
            return
        try:
            self._write(line.encode(self._encoding, "backslashreplace"))
        except BrokenPipeError:
            # Whoever read it is gone for good.
            self._write = None
        except OSError:
            # A full disk, for one: the next line may find room.
            return


def into(descriptor: int) -> Write:
    """The way into an open file: all of the bytes, however few it takes at once."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)

    def write(data: bytes) -> None:
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                # Another program that has it too, as the shell's next one has a terminal, made it one that never waits.
                room.poll()

    return write


def takes_at_once(descriptor: int) -> Callable[[str], bool]:
    """Whether an open file takes this line now, without a wait. Of a terminal nobody can say that."""
    if os.isatty(descriptor):
        return lambda _: False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    # So much is what a pipe that is ready takes.
    return lambda line: len(line) * (1 if line.isascii() else _WIDEST) <= select.PIPE_BUF and bool(poll.poll(0))


class Apart:
    """Leaves to a thread of its own what can't be written at once: a reader who does not read (a terminal after Ctrl-S,
    a program behind a pipe that hangs) holds up nobody else.

    A line is written when `write` returns, unless that takes longer than `patience` seconds. Then lines are only kept,
    until all of them are written; what is more than `KEPT_LINES` is left out.

    Args:
        write: takes a line, and may take for ever.
        at_once: whether it would take this one without a wait.
        left_out: told before the next line how many were.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        at_once: Callable[[str], bool],
        left_out: Callable[[int], object],
        patience: float = PATIENCE,
    ) -> None:
        self._write = write
        self._at_once = at_once
        self._tell = left_out
        self._patience = patience
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._late = False
        self._change = Condition()
        self._thread: Thread | None = None

    def write(self, line: str) -> None:
        """Write it, or keep it, or leave it out."""
        if self._left_out and not self._late:
            count, self._left_out = self._left_out, 0
            self._tell(count)
        with self._change:
            if not self._lines and self._at_once(line):
                self._write(line)
            elif len(self._lines) < KEPT_LINES:
                self._keep(line)
            else:
                self._left_out += 1

    def _keep(self, line: str) -> None:
        self._lines.append(line)
        self._change.notify_all()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="log", daemon=True)
            self._thread.start()
        if not self._late:
            self._late = not self._change.wait_for(lambda: not self._lines, self._patience)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._lines)
                line = self._lines[0]
            self._write(line)
            with self._change:
                self._lines.popleft()
                if not self._lines:
                    self._late = False
                    self._change.notify_all()


class LogFile:
    """A log file for years: put aside at `FILE_BYTES`, as `<name>.1` and so on up to `KEPT_FILES`; and where somebody
    else puts it aside, removes or empties it, as logrotate does, the next line goes where the name leads.

    Raises OSError where it can't be opened; later, the one that is open does until another can be.
    """

    def __init__(self, name: str) -> None:
        self._path = os.path.abspath(name)
        self._lock = Lock()
        self._open()

    def write(self, data: bytes) -> None:
        """Add it; raises OSError."""
        with self._lock:
            with suppress(OSError):
                self._keep_up()
            self._file.write(data)

    def _open(self) -> None:
        self._file = FileIO(self._path, "a")
        self._opened = os.fstat(self._file.fileno())

    def _keep_up(self) -> None:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            self._renew()
            return
        if not os.path.samestat(there, self._opened):
            self._open()
        elif there.st_size >= FILE_BYTES:
            for number in range(KEPT_FILES - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(self._aside(number), self._aside(number + 1))
            os.replace(self._path, self._aside(1))
            self._renew()

    def _renew(self) -> None:
        mode = stat.S_IMODE(self._opened.st_mode)
        self._open()
        os.fchmod(self._file.fileno(), mode)

    def _aside(self, number: int) -> str:
        return f"{self._path}.{number}"
