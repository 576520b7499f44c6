"""Results reach the standard output, or the exit code says that they did not."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress

from mammo_monai.files import in_words

NOT_DONE = 2
LEFT = 141  # as shells number SIGPIPE: 128 and the signal
# What is printed into a closed output must fail: it does where the null device is open for reading.
_STAND_INS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def stand_in_for_closed() -> None:
    """Opens the null device in the place of each standard stream that the caller has closed, as by `>&-`.

    Without it the next file that is opened gets the stream's number, and what a library prints goes into
    that file. Source: gnulib, stdopen.
    """
    for name, mode, flags in _STAND_INS:
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)  # the lowest one free, which is the stream's
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def take_every_letter() -> None:
    """Lets what the standard output's encoding has not be printed as `\\u2026`, where Python would end.

    A file name of other bytes than UTF-8 goes out as it is where the encoding is UTF-8.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def delivered(code: int) -> int:
    """The exit code of a command, once all it printed is out; `NOT_DONE` where that cannot be written.

    A reader who has left, as `head` does, is no fault and gets `LEFT`, without a word.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return left()
    except OSError as error:
        print(f"mammo-monai: the standard output: {in_words(error)}.", file=sys.stderr)
        _drop()
        return NOT_DONE
    return code


def left() -> int:
    """The exit code where the reader, such as `head`, is gone; what is still buffered goes nowhere."""
    _drop()
    return LEFT


def _drop() -> None:
    """Lets what is buffered go nowhere, else Python would complain of it at its end.

    Source: docs.python.org, signal, "Note on SIGPIPE".
    """
    with suppress(OSError, ValueError):  # a standard output without a file, as in tests
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
