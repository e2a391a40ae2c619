"""Take events that a server posts, and believe those only that it has signed.

python examples/webhook.py 9000 "something that nobody guesses" &
facestream serve --webhook http://127.0.0.1:9000/ --webhook-secret "something that nobody guesses" webcam:0
"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE = 300  # seconds; an older message may be one that somebody has recorded


def is_from_facestream(secret: str, headers, body: bytes) -> bool:
    sent_at = headers.get("X-Facestream-Timestamp", "")
    signed = hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    given = headers.get("X-Facestream-Signature", "")
    right = hmac.compare_digest(f"sha256={signed}".encode(), given.encode())
    return right and abs(time.time() - int(sent_at)) < LATE


class Hook(BaseHTTPRequestHandler):
    secret = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        believed = is_from_facestream(self.secret, self.headers, body)
        self.send_response(204 if believed else 403)
        self.end_headers()
        if believed:
            event = json.loads(body)
            print(event["kind"], event["name"] or "somebody", event["source"], flush=True)

    def log_message(self, *_: object) -> None:
        """The events are enough."""


if __name__ == "__main__":
    Hook.secret = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
