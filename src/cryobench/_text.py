"""Text of files of unknown encoding, from any editor, spreadsheet or program."""

import codecs
from collections.abc import Sequence
from pathlib import Path

from cryobench._errors import FormatError


def decode_text(data: bytes) -> str:
    """Text of some bytes: UTF-16 or UTF-8 after a byte order mark, UTF-8 without one, Latin-1 if it is not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_text(path: Path, expected: str) -> str:
    """Text of a file in any of these encodings.

    Raises
    ------
    FormatError
        If the file is missing or cannot be read, or holds zero bytes, which text does not. ``expected`` describes in
        the message what the file should be, such as "a list of stacks".
    """
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected {expected}.")
    try:
        text = decode_text(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read as {expected} ({error}).") from error
    if "\0" in text:
        raise FormatError(f"{path} cannot be read as {expected}: it holds zero bytes, so it is not text.")
    return text


def list_some(words: Sequence[str], most: int) -> str:
    """Words separated by commas; of more than ``most`` the first ones and the last."""
    return ", ".join(words if len(words) <= most else [*words[: most - 2], "…", words[-1]])
