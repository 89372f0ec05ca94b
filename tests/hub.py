"""A hub of models on this machine: as much of the Hugging Face hub's HTTP interface as huggingface_hub asks for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"
_LARGE = 1000
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<name>.+)")
_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/?]+)(?:/revision/[^/?]+)?(?:\?.*)?")


class Hub:
    """Repositories of files, and how the server misbehaves.

    `altered`: content sent in place of the announced one. `breaks_at`: bytes of a file after which the connection is
    cut, and how many times. `stalls_at`: bytes after which nothing more comes until `go_on`. `requests`: all so far.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.altered: dict[str, bytes] = {}
        self.breaks_at: dict[str, tuple[int, int]] = {}
        self.stalls_at: dict[str, int] = {}
        self.go_on = Event()
        self.requests: list[tuple[str, str, str]] = []
        self.address = ""

    def info(self, repo: str) -> dict[str, Any]:
        """What the hub says of a model; large files lie in LFS and have a SHA-256."""
        siblings = []
        for name, content in self.repositories[repo].items():
            row: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
            if len(content) >= _LARGE:
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(row)
        return {"_id": "1", "id": repo, "modelId": repo, "sha": REVISION, "private": False, "siblings": siblings}


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def local_hub() -> Iterator[Hub]:
    """A hub that answers at `address` until the block ends."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        if (match := _INFO.fullmatch(self.path)) and match["repo"] in self.hub.repositories:
            self._send(
                200, json.dumps(self.hub.info(match["repo"])).encode(), {"Content-Type": "application/json"}, body
            )
        elif (match := _FILE.fullmatch(self.path)) and match["name"] in self.hub.repositories.get(match["repo"], {}):
            self._send_file(match["repo"], match["name"], body)
        else:
            code = "RepoNotFound" if _INFO.fullmatch(self.path) else "EntryNotFound"
            self._send(404, b"", {"X-Error-Code": code}, body)

    def _send_file(self, repo: str, name: str, body: bool) -> None:
        announced = self.hub.repositories[repo][name]
        large = len(announced) >= _LARGE
        etag = hashlib.sha256(announced).hexdigest() if large else git_sha1(announced)
        content = self.hub.altered.get(name, announced)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if start else 200, content[start:], headers, body, name if body else None)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool, name: str | None = None) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        at, times = self.hub.breaks_at.get(name or "", (0, 0))
        if times > 0:
            self.hub.breaks_at[name or ""] = (at, times - 1)
            self.wfile.write(content[:at])
            self.wfile.flush()
            self.close_connection = True
            return
        if (pause := self.hub.stalls_at.get(name or "")) is not None:
            self.wfile.write(content[:pause])
            self.wfile.flush()
            self.hub.go_on.wait(60)
            content = content[pause:]
        try:
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the other side was killed
