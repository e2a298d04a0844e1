"""A receiver of webhooks in Python, with nothing but the standard library. It prints every message once that is genuine and new.

WEBHOOK_SECRET=whsec_… python docs/examples/webhook_receiver.py 8080
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 300


def is_genuine(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Whether whoever knows the secret has sent these bytes, and a moment ago."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = "v1," + base64.b64encode(digest).decode()
    given = headers.get("webhook-signature", "").split(" ")  # several while a secret changes
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is genuine and 401 to all else."""

    seen: set[str] = set()  # in earnest a table of your database, for as long as messages may be sent again

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        genuine = is_genuine(os.environ["WEBHOOK_SECRET"], headers, body, time.time())
        if genuine and headers["webhook-id"] not in self.seen:
            self.seen.add(headers["webhook-id"])
            message = json.loads(body)
            print(message["type"], message["data"].get("task", {}).get("id", "-"), flush=True)
        self.send_response(204 if genuine else 401)
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
