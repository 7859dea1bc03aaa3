"""A server on this machine that answers like Zenodo, and misbehaves when told to."""

import hashlib
import http.server
import json
import re
import threading
from pathlib import Path


class ZenodoServer(http.server.ThreadingHTTPServer):
    """Serves ``/api/records/ID`` and its files.

    ``cuts``: for each connection to a file, the bytes after which it is cut; those beyond the list are whole.
    ``ranges``: whether requests for a part are honoured. ``status``: answer files with this instead.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: dict[int, list[Path]] = {}
        self.cuts: list[int] = []
        self.ranges = True
        self.status: int | None = None
        self.checksums: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def describe(self, record: int) -> dict[str, object]:
        """What Zenodo says of a record."""
        return {
            "id": record,
            "files": [
                {
                    "key": path.name,
                    "size": path.stat().st_size,
                    "checksum": self.checksums.get(path.name) or "md5:" + hashlib.md5(path.read_bytes()).hexdigest(),
                    "links": {"self": f"{self.url}/api/records/{record}/files/{path.name}/content"},
                }
                for path in self.records[record]
            ],
        }

    @property
    def ranges_asked(self) -> list[str | None]:
        """The Range of each request for a file, in order."""
        return [span for path, span in self.asked if "/files/" in path]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ZenodoServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        whole = re.fullmatch(r"/api/records/(\d+)(?:/files/(.+)/content)?", self.path)
        if whole is None or int(whole[1]) not in self.server.records:
            self.send_error(404)
        elif whole[2] is None:
            self._send(json.dumps(self.server.describe(int(whole[1]))).encode())
        elif self.server.status is not None:
            self.send_error(self.server.status)
        else:
            path = next(path for path in self.server.records[int(whole[1])] if path.name == whole[2])
            self._send_part(path.read_bytes())

    def _send_part(self, content: bytes) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self.server.ranges else None
        if span is None:
            self._send(content, cut=True)
            return
        start, last = int(span[1]), int(span[2] or len(content) - 1)
        header = {"Content-Range": f"bytes {start}-{last}/{len(content)}"}
        self._send(content[start : last + 1], status=206, headers=header, cut=True)

    def _send(
        self, content: bytes, *, status: int = 200, headers: dict[str, str] | None = None, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if cut and self.server.cuts:
            self.wfile.write(content[: self.server.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(content)
            self.server.sent += len(content)

    def log_message(self, *_: object) -> None:
        pass
