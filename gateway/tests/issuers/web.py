"""The part of an issuer that is the same whatever library makes the keys: it publishes them over HTTPS and obeys.

On standard output it says where the keys are, as `{"url": ...}`, and then answers each line of standard input with
one line:

    sign     {"ALGORITHM": TOKEN, ...}: one token of each algorithm, by the newest keys
    rotate   {}: there are new keys, and the old ones are published with them
    retire   {}: only the newest keys are published
"""

import itertools
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATES = Path(__file__).parent.parent / "certificates"

# Each with a key of its own.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def run(new_key, public, sign):
    """`new_key(algorithm, kid)` makes a key pair, `public(key)` its JWK as a dict, `sign(key, algorithm, kid, claims)`
    a token."""
    generations = []
    numbers = itertools.count()

    def rotate():
        number = next(numbers)
        kids = {algorithm: f"{algorithm}-{number}" for algorithm in ALGORITHMS}
        generations.append({algorithm: (kid, new_key(algorithm, kid)) for algorithm, kid in kids.items()})

    def published():
        return {"keys": [public(key) for generation in generations for _, key in generation.values()]}

    def signed():
        claims = {"sub": "42", "iss": "https://issuer.example", "exp": 4102444800}
        return {alg: sign(key, alg, kid, claims) for alg, (kid, key) in generations[-1].items()}

    rotate()

    class Keys(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps(published()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "public, max-age=3600")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()

    answer({"url": f"https://localhost:{server.server_port}/jwks.json"})
    for line in sys.stdin:
        match line.strip():
            case "sign":
                answer(signed())
            case "rotate":
                rotate()
                answer({})
            case "retire":
                del generations[:-1]
                answer({})
            case other:
                sys.exit(f"no such command: {other!r}")


def answer(value):
    print(json.dumps(value), flush=True)
