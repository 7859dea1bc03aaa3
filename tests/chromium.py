"""Headless chromium driven through the DevTools protocol over a pipe: no port, no driver program, no package.

Protocol: https://chromedevtools.github.io/devtools-protocol/. Messages are JSON with a NUL byte between them;
chromium reads them from file descriptor 3 and writes to 4.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--disable-extensions", "--hide-scrollbars", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name resolves: a page that needs the network fails here too
]  # fmt: skip
NO_ANSWER = "chromium gave no answer"
"""Beginning of the error of a browser that does not answer in ``_PATIENCE`` seconds."""
_PATIENCE = 60
_LAUNCH = (
    "import os,sys; os.dup2(int(sys.argv[1]),3); os.dup2(int(sys.argv[2]),4); os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    """Path of a chromium program: that of CRYOBENCH_CHROMIUM, or the first one on PATH."""
    names = (os.environ.get("CRYOBENCH_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class PageError(Exception):
    """A script raised in the page."""


class Page:
    """One page of one browser; ``problems`` gathers script errors, console errors and failed requests."""

    def __init__(self, program: str, *, width: int = 1280, height: int = 900) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._number = 0
        self._buffer = b""
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # Above 10, so that neither end is in the way of descriptors 3 and 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
        os.close(to_browser)
        os.close(from_browser)
        self._process = subprocess.Popen(
            [
                sys.executable, "-c", _LAUNCH, *map(str, ends), program, *_FLAGS,
                f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}", "about:blank",
            ],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in ends:
            os.close(end)
        self._session = ""
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(entry["targetId"] for entry in targets if entry["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End this browser, and no other."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self._receive(deadline, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _receive(self, deadline: float, waiting_for: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if ready else b""
            if not chunk:
                raise PageError(f"{NO_ANSWER} to {waiting_for} (exit status {self._process.poll()})")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method", ""), event.get("params", {})
        self._events.append(event)
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(f"script error: {details.get('exception', {}).get('description', details['text'])}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            words = [str(part.get("value", part.get("description", ""))) for part in parameters["args"]]
            self.problems.append(f"console error: {' '.join(words)}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.problems.append(f"log error: {entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            self.problems.append(f"loading failed: {parameters['errorText']}")

    def open(self, path: Path) -> None:
        """Open a file from disk and wait until it has loaded."""
        self._events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 60) -> None:
        """Wait until an expression is true. PageError with the problems seen if it does not become so."""
        deadline = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > deadline:
                raise PageError(f"never true: {script}\n" + "\n".join(self.problems))
            time.sleep(0.05)

    def resize(self, width: int, height: int, *, scale: float = 1) -> None:
        """Size of the window in CSS px."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def prefer(self, scheme: str) -> None:
        """Prefer "light" or "dark"."""
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        """Press at one place of the window, move to another, release."""
        self._mouse("mouseMoved", *start, buttons=0)
        self._mouse("mousePressed", *start, buttons=1)
        for step in range(1, steps + 1):
            part = step / steps
            self._mouse("mouseMoved", *(a + part * (b - a) for a, b in zip(start, end, strict=True)), buttons=1)
        self._mouse("mouseReleased", *end, buttons=0)

    def press(self, key: str) -> None:
        """Press and release a key at the element that has the focus."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a place of the window."""
        self._mouse("mouseMoved", x, y, buttons=0)

    def _mouse(self, kind: str, x: float, y: float, *, buttons: int) -> None:
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def screenshot(self, path: Path, *, box: dict[str, float] | None = None, whole: bool = False) -> Path:
        """PNG of the window, of a box (x, y, width, height in CSS px of the window), or of the whole page."""
        options: dict[str, Any] = {}
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            options = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        elif box is not None:
            scroll = self.run("[window.scrollX, window.scrollY]")
            options = {"clip": {**box, "x": box["x"] + scroll[0], "y": box["y"] + scroll[1], "scale": 1}}
        data = self.send("Page.captureScreenshot", format="png", **options)["data"]
        path.write_bytes(base64.b64decode(data))
        return path
