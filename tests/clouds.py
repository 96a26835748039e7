"""Small servers that speak enough of Azure's and Google's storage for the tests, and check every signature; and a proxy
that notes what is asked of a server, and breaks answers.

Azure: "Authorize with Shared Key", "Create a service SAS". Google: "V4 signing process with your own program".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ACCOUNT, SHARED = "account", base64.b64encode(b"a-key-of-the-tests").decode()
EMAIL = "tests@project.example"
MODIFIED = "Mon, 30 Nov 2026 19:26:00 GMT"


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    target: str = ""


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Kept:
    content: bytes
    generation: int
    until: str = ""

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'


@dataclass
class Cloud:
    """Objects by their path. `locked`: until when what is new is locked."""

    objects: dict[str, Kept] = field(default_factory=dict)
    parts: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    locked: str = ""
    endpoint: str = ""
    generation: int = 0

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if not self.signed(asked):
            return Answer(403)
        if asked.headers.get("content-md5", "") not in ("", _md5(asked.body)):
            return Answer(400, b"<Error><Code>BadDigest</Code></Error>")
        return self.do(asked)

    def signed(self, asked: Asked) -> bool:
        raise NotImplementedError

    def do(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def put(self, path: str, content: bytes, once: bool) -> Answer:
        if once and path in self.objects:
            return Answer(412 if self.prefix == "x-goog" else 409)
        self.generation += 1
        self.objects[path] = kept = Kept(content, self.generation, self.locked)
        return Answer(201 if self.prefix == "x-ms" else 200, b"", self.told(kept))

    prefix = ""

    def told(self, kept: Kept) -> dict[str, str]:
        raise NotImplementedError

    def get(self, asked: Asked) -> Answer:
        kept = self.objects.get(asked.path)
        if kept is None:
            return Answer(404)
        if asked.headers.get("if-match", kept.etag) != kept.etag:
            return Answer(412)
        told = self.told(kept) | {"last-modified": MODIFIED}
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", "")):
            start, end = int(found[1]), min(int(found[2]), len(kept.content) - 1)
            told["content-range"] = f"bytes {start}-{end}/{len(kept.content)}"
            return Answer(206, kept.content[start : end + 1], told)
        return Answer(200, kept.content, told)

    def list(self, prefix: str, template: str, one: str) -> Answer:
        names = [name.split("/", 2)[2] for name in sorted(self.objects)]
        found = "".join(
            one % (name, len(self.objects[f"/bucket/{name}"].content)) for name in names if name.startswith(prefix)
        )
        return Answer(200, (template % found).encode())


def shared_key(method: str, headers: Mapping[str, str], resource: str) -> str:
    """The header Authorization of a request to Azure."""
    names = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
             "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")  # fmt: skip
    fields = [method, *("" if headers.get(name) == "0" else headers.get(name, "") for name in names)]
    own = [f"{name}:{value}" for name, value in sorted(headers.items()) if name.startswith("x-ms-")]
    return f"SharedKey {ACCOUNT}:{_hmac([*fields, *own, resource])}"


class Azure(Cloud):
    prefix = "x-ms"

    @property
    def options(self) -> dict[str, Any]:
        return {"account_key": SHARED, "endpoint": f"{self.endpoint}/{ACCOUNT}", **PATIENT}

    def told(self, kept: Kept) -> dict[str, str]:
        lock = {"x-ms-immutability-policy-until-date": kept.until, "x-ms-immutability-policy-mode": "locked"}
        return {"etag": kept.etag, "x-ms-version-id": f"v{kept.generation}", **(lock if kept.until else {})}

    def signed(self, asked: Asked) -> bool:
        q, h = asked.query, asked.headers
        if "sig" in q:
            needed = "w" if asked.method == "PUT" else "r"
            fields = [q["sp"], q.get("st", ""), q["se"], f"/blob{asked.path}", "", "", "", q["sv"], q["sr"], *[""] * 7]
            return needed in q["sp"] and _hmac(fields) == q["sig"]
        resource = f"/{ACCOUNT}{asked.path}" + "".join(f"\n{name}:{value}" for name, value in sorted(q.items()))
        return h.get("authorization") == shared_key(asked.method, h, resource)

    def do(self, asked: Asked) -> Answer:
        asked.path = asked.path.removeprefix(f"/{ACCOUNT}")
        kind = asked.query.get("comp")
        if asked.method == "PUT" and kind == "block":
            self.parts.setdefault(asked.path, {})[asked.query["blockid"]] = asked.body
            return Answer(201)
        if asked.method == "PUT" and kind == "blocklist":
            blocks = self.parts.pop(asked.path)
            ids = re.findall(r"<Uncommitted>([^<]+)<", asked.body.decode())
            return self.put(asked.path, b"".join(blocks[each] for each in ids), False)
        if asked.method == "PUT":
            assert asked.headers["x-ms-blob-type"] == "BlockBlob"
            return self.put(asked.path, asked.body, asked.headers.get("if-none-match") == "*")
        if kind == "list":
            one = "<Blob><Name>%s</Name><Properties><Content-Length>%d</Content-Length><Content-Type>b</Content-Type>"
            one += f"<Etag>e</Etag><Last-Modified>{MODIFIED}</Last-Modified></Properties></Blob>"
            page = '<?xml version="1.0"?><EnumerationResults><Blobs>%s</Blobs><NextMarker/></EnumerationResults>'
            return self.list(asked.query.get("prefix", ""), page, one)
        return self.get(asked)


class Google(Cloud):
    prefix = "x-goog"
    key = rsa.generate_private_key(65537, 2048)

    @property
    def options(self) -> dict[str, Any]:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "gcs_base_url": self.endpoint,
            "client_email": EMAIL,
            "private_key": pem.decode(),
            "private_key_id": "1",
        }
        return {"service_account_key": json.dumps(account), **PATIENT}

    def told(self, kept: Kept) -> dict[str, str]:
        lock = {"x-goog-object-lock-mode": "GOVERNANCE", "x-goog-object-lock-retain-until-date": kept.until}
        return {"etag": kept.etag, "x-goog-generation": str(kept.generation), "x-goog-metageneration": "1",
                **(lock if kept.until else {})}  # fmt: skip

    def signed(self, asked: Asked) -> bool:
        q = dict(asked.query)
        if sent := q.pop("X-Goog-Signature", None):
            text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(q.items()))
            host = "storage.googleapis.com"  # the library signs for that one, wherever it is told to go
            request = f"{asked.method}\n{asked.target.split('?')[0]}\n{text}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
            scope = q["X-Goog-Credential"].split("/", 1)[1]
            digest = hashlib.sha256(request.encode()).hexdigest()
            return self._holds(bytes.fromhex(sent), f"GOOG4-RSA-SHA256\n{q['X-Goog-Date']}\n{scope}\n{digest}")
        head, _, sign = asked.headers.get("authorization", "").removeprefix("Bearer ").rpartition(".")
        return self._holds(base64.urlsafe_b64decode(sign + "=="), head)

    def _holds(self, signature: bytes, message: str) -> bool:
        try:
            self.key.public_key().verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def do(self, asked: Asked) -> Answer:
        upload = asked.query.get("uploadId", "")
        if asked.method == "POST" and "uploads" in asked.query:
            self.parts[upload := f"u{len(self.asked)}"] = {}
            page = "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, (page % upload).encode())
        if asked.method == "PUT" and upload:
            self.parts[upload][asked.query["partNumber"]] = asked.body
            return Answer(200, b"", {"etag": f'"{hashlib.md5(asked.body).hexdigest()}"'})
        if asked.method == "POST" and upload:
            parts = self.parts.pop(upload)
            made = self.put(asked.path, b"".join(parts[each] for each in sorted(parts, key=int)), False)
            page = "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>"
            return Answer(200, (page % made.headers["etag"]).encode(), made.headers)
        if asked.method == "PUT":
            return self.put(asked.path, asked.body, asked.headers.get("x-goog-if-generation-match") == "0")
        if "list-type" in asked.query:
            one = "<Contents><Key>%s</Key><Size>%d</Size><ETag>e</ETag>"
            one += "<LastModified>2026-11-30T19:26:00Z</LastModified></Contents>"
            return self.list(asked.query.get("prefix", ""), "<ListBucketResult>%s</ListBucketResult>", one)
        return self.get(asked)


PATIENT: dict[str, Any] = {"client_options": {"allow_http": True}}


def _hmac(lines: list[str]) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(SHARED), "\n".join(lines).encode(), "sha256")).decode()


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


@dataclass
class Between:
    """Between us and a real server. `breaks`: what is done to an answer, by what was asked: `outage`, `busy`,
    `truncated`, `etag`, `changed`, `slow`; None: nothing.
    """

    host: str
    endpoint: str = ""
    breaks: Callable[[Asked], str | None] = lambda asked: None
    asked: list[Asked] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: Asked) -> Answer | None:
        """None: the connection is closed."""
        self.asked.append(asked)
        broken = self.breaks(asked)
        if broken == "outage":
            return None
        if broken == "slow":
            self.done.wait(60)
            return None
        if broken == "busy":
            return Answer(503, b"<Error><Code>SlowDown</Code></Error>")
        link = http.client.HTTPConnection(self.host, timeout=60)
        try:
            link.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                link.putheader(name, value)
            link.endheaders(asked.body)
            got = link.getresponse()
            body, headers = got.read(), {name.lower(): value for name, value in got.getheaders()}
        finally:
            link.close()
        for name in ("transfer-encoding", "connection", "date"):
            headers.pop(name, None)
        if broken == "etag":
            headers["etag"] = '"00000000000000000000000000000000"'
        if broken == "changed" and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        headers["content-length"] = headers.get("content-length", str(len(body)))
        return Answer(got.status, body[: len(body) // 2] if broken == "truncated" else body, headers)


@contextmanager
def serving(cloud: Any) -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            parts = urlsplit(self.path)
            body = self.rfile.read(int(headers.get("content-length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            asked = Asked(self.command, "/" + unquote(parts.path).lstrip("/"), query, headers, body, self.path)
            said: Answer | None = cloud.answer(asked)
            if said is None:
                self.close_connection = True
                return
            self.send_response_only(said.status)
            length = said.headers.pop("content-length", str(len(said.body)))
            for name, value in {**said.headers, "content-length": length}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)
                if int(length) != len(said.body):
                    self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    cloud.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cloud
    finally:
        if isinstance(cloud, Between):
            cloud.done.set()
        server.shutdown()
        server.server_close()
