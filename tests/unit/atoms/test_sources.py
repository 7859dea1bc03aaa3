"""Downloads against a server on this machine: cached, verified, atomic, and clear when they fail."""

import gzip
import http.server
import threading

import pytest

from cryobench._errors import FormatError
from cryobench.atoms import fetch_structure, resolve_structure

CONTENT = gzip.compress(b"data_1ABC\n" + bytes(range(256)) * 40)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        server.requests.append(self.path)
        if server.mode == "missing":
            self.send_error(404)
            return
        if server.mode == "broken":
            self.send_error(503)
            return
        self.send_response(200)
        if server.mode != "cut without length":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if server.mode == "whole" else CONTENT[: len(CONTENT) // 2])
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.mode, server.requests = "whole", []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("CRYOBENCH_RCSB_URL", f"http://127.0.0.1:{server.server_port}/pdb")
    monkeypatch.setenv("CRYOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _leftovers(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_downloaded_once_and_kept(server, tmp_path):
    path = fetch_structure("rcsb:1abc")
    assert path == tmp_path / "cache" / "rcsb" / "1ABC.cif.gz"
    assert path.read_bytes() == CONTENT
    assert resolve_structure("RCSB:1ABC") == path
    assert server.requests == ["/pdb/1ABC.cif.gz"]


def test_a_damaged_cache_is_replaced(server):
    path = fetch_structure("rcsb:1ABC")
    path.write_bytes(CONTENT[:-9])
    assert fetch_structure("rcsb:1ABC").read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("missing", ValueError, r"no entry '9ZZZ' .*404"),
        ("broken", ConnectionError, "status 503.*--structure FILE"),
        ("cut", ConnectionError, "cannot download .*--structure FILE"),
        ("cut without length", FormatError, "connection was interrupted.*--structure FILE"),
    ],
)
def test_failures_leave_nothing_behind(server, tmp_path, mode, error, message):
    server.mode = mode
    with pytest.raises(error, match=message):
        fetch_structure("rcsb:9zzz")
    assert _leftovers(tmp_path) == []
    server.mode = "whole"
    assert fetch_structure("rcsb:9zzz").read_bytes() == CONTENT


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYOBENCH_RCSB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CRYOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ConnectionError, match=r"cannot download .*--structure FILE"):
        fetch_structure("rcsb:1HZH")
    assert _leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["rcsb:", "rcsb:hello", "rcsb:../x", "1HZ"])
def test_names_that_are_no_entry(name):
    with pytest.raises(ValueError, match="is not a PDB entry"):
        fetch_structure(name)


def test_paths_resolve_to_themselves(tmp_path):
    file = tmp_path / "a.pdb"
    file.write_text("")
    assert resolve_structure(file) == file
    assert resolve_structure(str(file)) == file
    with pytest.raises(FileNotFoundError, match=r"b\.pdb does not exist.*rcsb:1HZH"):
        resolve_structure(tmp_path / "b.pdb")
