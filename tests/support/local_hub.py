"""A model hub on this machine: the few addresses of the public hub's API that `huggingface_hub` calls for a model."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit


class LocalHub:
    """Repositories by name: commits, oldest first, each a hash with the files that it has."""

    def __init__(self) -> None:
        self.repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.requests: list[str] = []
        self.endpoint = ""

    def files(self, repo_id: str, revision: str = "main") -> tuple[str, dict[str, bytes]] | None:
        """Return the commit and files of a revision; None if there is none."""
        commits = self.repositories[repo_id]
        if revision == "main":
            return commits[-1] if commits else ("0" * 40, {})
        return next((commit for commit in commits if commit[0] == revision), None)

    def commit(self, repo_id: str, files: dict[str, bytes]) -> str:
        """Add files to a repository, and return the hash."""
        commits = self.repositories.setdefault(repo_id, [])
        content = {**(commits[-1][1] if commits else {}), **files}
        oid = hashlib.sha1(f"{repo_id} {len(commits)}".encode()).hexdigest()
        commits.append((oid, content))
        return oid


def _handler(hub: LocalHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def answer_json(self, value: object) -> None:
            self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            repo_id, _, rest = path.strip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            if repo_id not in hub.repositories:
                self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
                return
            found = hub.files(repo_id, revision)
            if found is None:
                self.answer(404, X_Error_Code="RevisionNotFound")
            elif name not in found[1]:
                self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=found[0])
            else:
                etag = f'"{hashlib.sha256(found[1][name]).hexdigest()}"'
                self.answer(200, found[1][name], ETag=etag, X_Repo_Commit=found[0])

        do_HEAD = do_GET

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def do_POST(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            body = self.body()
            if "secret" not in self.headers.get("Authorization", ""):
                self.answer(401, b'{"error": "Invalid username or password."}')
            elif path == "/api/validate-yaml":
                self.answer_json({"errors": [], "warnings": []})
            elif path == "/api/repos/create":
                given = json.loads(body)
                hub.repositories.setdefault(f"{given['organization']}/{given['name']}", [])
                self.answer_json({"url": f"{hub.endpoint}/{given['organization']}/{given['name']}"})
            elif "/preupload/" in path:
                names = [file["path"] for file in json.loads(body)["files"]]
                kind = {"uploadMode": "regular", "shouldIgnore": False}
                self.answer_json({"files": [{"path": name, **kind} for name in names]})
            else:
                self.take_commit(path.removeprefix("/api/models/").partition("/commit/")[0], body)

        def take_commit(self, repo_id: str, body: bytes) -> None:
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            oid = hub.commit(repo_id, files)
            url = f"{hub.endpoint}/{repo_id}/commit/{oid}"
            self.answer_json({"commitUrl": url, "commitOid": oid, "commitMessage": lines[0]["value"]["summary"]})

    return Handler


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """Yield a hub that answers at its `endpoint`; writing needs the token "secret"."""
    hub = LocalHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
