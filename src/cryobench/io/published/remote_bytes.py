"""A file on a server as a seekable Python file, to read single members of a large zip archive.

Each read requests a range of bytes (HTTP Range). Wrap it in ``io.BufferedReader`` to read ahead.

Libraries do this for a stable connection. remotezip 0.12.6 ends with urllib3's ProtocolError if the server
truncates a range, in the member list or in a member, even with urllib3's retries mounted, which see only the
headers; fsspec 2026.9 has no retries over HTTP, and needs aiohttp and nine more packages. Here a truncated range
is requested again.
"""

import io
import os
import time

import requests

_TIMEOUT = 60
_ATTEMPTS = 5
_FINAL = (400, 401, 403, 404, 410)
"""Status codes that another attempt does not change."""


class NoRanges(OSError):
    """The server sends whole files only."""


class RemoteBytes(io.RawIOBase):
    """Bytes of a URL, fetched when read.

    Raises
    ------
    NoRanges
        On reading, if the server does not support ranges.
    ConnectionError
        On reading, if the server does not answer several times in a row.

    Parameters
    ----------
    url
        URL of the file.
    size
        Size in bytes.
    pause
        Seconds before the second attempt at a range; twice as many before each further one.
    """

    def __init__(self, url: str, size: int, *, pause: float) -> None:
        self._url, self._size, self._pause = url, size, pause
        self._place = 0
        self._session = requests.Session()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position; nothing is fetched."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}, before the beginning of {self._url}.")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Fetch as many bytes as fit, or as remain."""
        stop = min(self._place + len(buffer), self._size)
        if stop <= self._place:
            return 0
        content = self._fetch(self._place, stop)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def close(self) -> None:
        """Return the connection."""
        self._session.close()
        super().close()

    def _fetch(self, start: int, stop: int) -> bytes:
        error: Exception | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
                with self._session.get(self._url, headers=headers, timeout=_TIMEOUT, stream=True) as response:
                    response.raise_for_status()
                    if response.status_code != 206:
                        raise NoRanges(f"{self._url} cannot be read in parts: the server sends whole files only.")
                    content = response.content
            except requests.exceptions.RequestException as caught:
                error = caught
                if caught.response is not None and caught.response.status_code in _FINAL:
                    break
                continue
            if len(content) == stop - start:
                return content
            error = ConnectionError(f"requested {stop - start} bytes, got {len(content)}")
        raise ConnectionError(f"{self._url} cannot be read: {error}. Try again later.") from error
