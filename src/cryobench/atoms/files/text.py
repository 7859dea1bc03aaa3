"""Text of structure files, plain or gzipped, from any program or editor."""

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path

from cryobench import _text
from cryobench._errors import FormatError

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MOST_TIMES, _MOST_BESIDES = 100, 10_000_000
"""Maximum number of unpacked bytes: so many per packed byte, plus so many."""
_NOT_TEXT = re.compile(rb"[^\t\n\f\r\x1a\x20-\x7e\x80-\xff]")


def read_structure_text(path: Path) -> str:
    """Text of a structure file, plain or gzipped. FileNotFoundError, or FormatError if it is not text."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"structure file {path} {what}. Give a PDB or mmCIF file, or rcsb:ID to download one."
        )
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = decompress_gzip(content, path)
    return decode_text(content, path)


def decode_text(content: bytes, path: Path) -> str:
    """Text with newlines as the only line ends, and without a byte-order mark.

    A mark states the encoding; without one it is UTF-8, or Latin-1 if that fails: numbers and names are in
    ASCII, so a remark in another alphabet does no harm. FormatError, naming ``path``, if it is not text.
    """
    marked = content.startswith(_MARKS)
    wrong = None if marked and not content.startswith(codecs.BOM_UTF8) else _NOT_TEXT.search(content)
    if wrong:
        raise FormatError(
            f"{path} is neither PDB nor mmCIF: byte {wrong.start()} is not text. Give a structure file, not a map."
        )
    try:
        text = _text.decode_text(content)
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path} begins with the mark of UTF-16, but is not text in it ({error}). Give a PDB or mmCIF file."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_plain_text(head: bytes) -> bool:
    """Whether a file beginning with ``head`` is text that needs no decoding: no gzip, mark or old line ends."""
    packed = head[:2] == b"\x1f\x8b" or head.startswith(_MARKS)
    return not packed and not (b"\r" in head and b"\n" not in head)


def decompress_gzip(content: bytes, path: Path) -> bytes:
    """Bytes of a complete gzip stream; FormatError, naming ``path``, if it is truncated, damaged or far too large."""
    most = _MOST_TIMES * len(content) + _MOST_BESIDES
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(
            f"{path} is not a complete gzip file ({len(content)} bytes: {error}). Download or copy it again."
        ) from error
    if len(unpacked) > most:
        raise FormatError(
            f"{path} has {len(content):,} bytes but would unpack to more than {most:,}, unlike any structure: it is"
            " refused. If that is expected, unpack it with another program."
        )
    return unpacked
