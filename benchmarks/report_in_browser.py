"""Open a page in Chromium as its readers will: on a laptop and on a phone, light and dark. Pictures, and what is wrong.

    python -m benchmarks.report_in_browser out/report.html --pictures pictures/

Says for each of the four whether the browser had anything to complain of (its console, requests it was asked to make)
and whether the page is wider than the window. Exit code 1 where there is any of it, 2 without Chromium. The browser is
spoken to through a pipe (DevTools protocol), so that no further package is needed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS_PX = {"laptop": 1280, "phone": 360}
MODES = ("light", "dark")
_HIGHEST_PX = 16_000
"""Of a longer page the picture shows the beginning."""
_COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Audits.issueAdded")
_MOVE_PIPES = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The pipes go to where a browser looks for them, 3 and 4, before the browser takes the place of this."""
_WIDTH = "Math.max(document.scrollingElement.scrollWidth, document.body.scrollWidth)"


@dataclass(frozen=True, slots=True)
class Seen:
    """How a page came out: its own width beside the window's, what was complained of, what it tried to fetch."""

    device: str
    mode: str
    width_px: int
    window_px: int
    complaints: tuple[str, ...]
    fetched: tuple[str, ...]
    picture: bytes = field(repr=False)

    @property
    def wrong(self) -> list[str]:
        """What is wrong with it, in words."""
        wide = [f"the page is {self.width_px} px wide"] if self.width_px > self.window_px else []
        return [*wide, *(f"console: {each}" for each in self.complaints), *(f"fetches {each}" for each in self.fetched)]


def browser() -> str | None:
    """The Chromium of this machine, if there is one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Tab:
    """A tab of a running browser: commands, and the events that come meanwhile."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """Send a command and wait for its result.

        Raises:
            RuntimeError: the browser refuses it.
        """
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        said = json.dumps({"id": self._number, "method": method, "params": given, **session}).encode() + b"\0"
        while said:
            said = said[os.write(self._write, said) :]
        while True:
            message = self._next()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self.events.append(message)

    def wait_for(self, event: str) -> None:
        """Until the browser tells of an event."""
        while not any(each.get("method") == event for each in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._read, 1 << 20)
            if not block:
                raise RuntimeError("the browser ended")
            self._rest += block
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))


@contextmanager
def opened(program: str) -> Iterator[Tab]:
    """A browser without a window, reading its commands from descriptor 3 and answering on 4."""
    (their_read, write), (read, their_write) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="callsift-browser-", ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                 "--remote-debugging-pipe", f"--user-data-dir={profile}"]  # fmt: skip
        command = [sys.executable, "-c", _MOVE_PIPES, str(their_read), str(their_write), program, *flags]
        with subprocess.Popen(command, pass_fds=(their_read, their_write), stderr=subprocess.DEVNULL) as process:
            os.close(their_read)
            os.close(their_write)
            try:
                yield Tab(write, read)
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                os.close(write)
                os.close(read)


def look(tab: Tab, page: Path, device: str, mode: str, *, unfold: bool = False) -> Seen:
    """Open the page in a window of the device's width. `unfold`: with everything that can be opened open."""
    width_px, url = WIDTHS_PX[device], page.resolve().as_uri()
    for domain in ("Runtime", "Log", "Network", "Page", "Audits"):
        tab.ask(f"{domain}.enable")
    tab.ask("Emulation.setDeviceMetricsOverride", width=width_px, height=900, deviceScaleFactor=1, mobile=False)
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
    tab.events.clear()
    tab.ask("Page.navigate", url=url)
    tab.wait_for("Page.loadEventFired")
    if unfold:
        _value(tab, "document.querySelectorAll('details').forEach(each => { each.open = true; })")
    widest = int(_value(tab, _WIDTH))
    height = min(int(_value(tab, "document.documentElement.scrollHeight")), _HIGHEST_PX)
    clip = {"x": 0, "y": 0, "width": width_px, "height": height, "scale": 1}
    picture = tab.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
    return Seen(device, mode, widest, width_px, _complaints(tab.events), _fetched(tab.events, url),
                base64.b64decode(picture))  # fmt: skip


def _value(tab: Tab, expression: str) -> Any:
    return tab.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


def _complaints(events: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(
        json.dumps(each["params"], ensure_ascii=False)[:500] for each in events if each.get("method") in _COMPLAINTS
    )


def _fetched(events: Sequence[dict[str, Any]], url: str) -> tuple[str, ...]:
    """What the page asked for, besides itself."""
    asked = (each["params"]["request"]["url"] for each in events if each.get("method") == "Network.requestWillBeSent")
    return tuple(each for each in asked if each != url)


def look_everywhere(page: Path, program: str, *, unfold: bool = False) -> list[Seen]:
    """The page on every device in every mode."""
    with opened(program) as tab:
        return [look(tab, page, device, mode, unfold=unfold) for device in WIDTHS_PX for mode in MODES]


def main(given: Sequence[str] | None = None) -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures, <device>-<mode>.png")
    parser.add_argument("--unfold", action="store_true", help="open everything that can be opened")
    asked = parser.parse_args(given)
    program = browser()
    if program is None:
        print(f"none of {', '.join(BROWSERS)} is installed", file=sys.stderr)
        return 2
    seen = look_everywhere(asked.page, program, unfold=asked.unfold)
    for each in seen:
        print(f"{each.device}, {each.mode}: {'; '.join(each.wrong) or 'as it should be'}")
        if asked.pictures is not None:
            asked.pictures.mkdir(parents=True, exist_ok=True)
            (asked.pictures / f"{each.device}-{each.mode}.png").write_bytes(each.picture)
    return 1 if any(each.wrong for each in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
