"""An application's backend for the tests of hooks, over HTTP and over gRPC, that answers as it is told.

How it answers is a plan: one of these keys.

    {"answer": {...}}    this answer
    {"sleep": 2}         nothing for so many seconds, then an empty answer
    {"status": 500}      this HTTP status, or UNKNOWN over gRPC; 503 is UNAVAILABLE
    {"raw": "..."}       these bytes in the place of an answer
    {"bytes": 2000000}   a good answer of about this size
    {"hang_up": true}    the end of the connection
    {"drip": 5}          the beginning of an answer, then a byte each tenth of a second for so many seconds

A client's own payload may hold a plan ({"plan": ...}); else it is the one that the test has set for this kind of
question (POST /plan), else an empty answer. GET /seen tells and forgets what was asked.

Started by backend.rs with the directory of hook.proto and that of a certificate for localhost as its arguments;
prints its ports as JSON: without and with TLS, these on all of the machine's addresses.
"""

import base64
import importlib
import json
import ssl
import sys
import tempfile
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from grpc_tools import protoc

LOCK = threading.Lock()
PLANS = {}
SEEN = []


def plan_for(kind, data):
    if isinstance(data, dict) and "plan" in data:
        return data["plan"]
    with LOCK:
        return PLANS.get(kind, {})


def payload(body):
    """A client's payload, if it is JSON."""
    if "b64data" not in body:
        return body.get("data")
    try:
        return json.loads(base64.b64decode(body["b64data"]))
    except ValueError:
        return None


def note(kind, headers, body):
    with LOCK:
        SEEN.append({"kind": kind, "headers": headers, "body": body})


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with LOCK:
            seen = json.dumps(SEEN).encode()
            SEEN.clear()
        self.say(200, seen)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/plan":
            with LOCK:
                PLANS.update(body)
            return self.say(200, b"{}")
        kind = self.headers["Fanfare-Hook"]
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        note(kind, headers, body)
        try:
            self.follow(plan_for(kind, payload(body)))
        except OSError:
            pass

    def follow(self, plan):
        if "sleep" in plan:
            time.sleep(plan["sleep"])
        if "status" in plan:
            return self.say(plan["status"], b"{}")
        if "raw" in plan:
            return self.say(200, plan["raw"].encode())
        if "hang_up" in plan:
            self.close_connection = True
            return None
        if "bytes" in plan:
            return self.say(200, json.dumps({"result": {"data": "x" * plan["bytes"]}}).encode())
        if "drip" in plan:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            for _ in range(plan["drip"] * 10):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)
            return None
        return self.say(200, json.dumps(plan.get("answer", {})).encode())


def compiled(schemas):
    """The messages of hook.proto, as any backend would make them."""
    out = tempfile.mkdtemp()
    if protoc.main(["protoc", f"-I{schemas}", f"--python_out={out}", f"--grpc_python_out={out}", "hook.proto"]) != 0:
        sys.exit("hook.proto cannot be compiled")
    sys.path.insert(0, out)
    return importlib.import_module("hook_pb2"), importlib.import_module("hook_pb2_grpc")


def fill(message, values):
    """Writes a plan's answer into a message; what is bytes there is JSON."""
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.message_type and field.message_type.GetOptions().map_entry:
            target = getattr(message, name)
            for key, entry in value.items():
                if isinstance(entry, dict):
                    fill(target[key], entry)
                else:
                    target[key] = entry
        elif field.message_type and isinstance(value, list):
            for entry in value:
                fill(getattr(message, name).add(), entry)
        elif field.message_type:
            getattr(message, name).SetInParent()
            fill(getattr(message, name), value)
        elif field.type == field.TYPE_BYTES:
            setattr(message, name, json.dumps(value).encode())
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


def read(message):
    """A question as the JSON that goes over HTTP."""
    body = {}
    for field, value in message.ListFields():
        body[field.name] = json.loads(value) if field.type == field.TYPE_BYTES else value
    return body


def grpc_server(schemas, certificate, key):
    messages, services = compiled(schemas)

    def answers(kind, answer):
        def handle(self, question, context):
            body = read(question)
            note(kind, [[key, value] for key, value in context.invocation_metadata()], body)
            plan = plan_for(kind, payload(body))
            if "sleep" in plan:
                time.sleep(plan["sleep"])
            if "status" in plan:
                code = grpc.StatusCode.UNAVAILABLE if plan["status"] == 503 else grpc.StatusCode.UNKNOWN
                context.abort(code, "on purpose")
            if "bytes" in plan:
                return fill(answer(), {"result": {"data": "x" * plan["bytes"]}})
            return fill(answer(), plan.get("answer", {}))

        return handle

    kinds = {
        "Connect": ("connect", messages.ConnectResponse),
        "Refresh": ("refresh", messages.RefreshResponse),
        "Subscribe": ("subscribe", messages.SubscribeResponse),
        "SubRefresh": ("sub_refresh", messages.SubRefreshResponse),
        "Publish": ("publish", messages.PublishResponse),
        "RPC": ("rpc", messages.RPCResponse),
    }
    methods = {method: answers(*what) for method, what in kinds.items()}
    servicer = type("Servicer", (services.CentrifugoProxyServicer,), methods)()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    services.add_CentrifugoProxyServicer_to_server(servicer, server)
    plain = server.add_insecure_port("127.0.0.1:0")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    secure = server.add_secure_port("0.0.0.0:0", credentials)
    server.start()
    return server, {"grpc": plain, "grpcs": secure}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Many may come at once: one that is not let in at first is let in seconds later.
    request_queue_size = 1024


def http_server(address, tls=None):
    """Answers until the process ends; returns its port."""
    http = Server((address, 0), Http)
    if tls is not None:
        # The handshake is the connection's thread's affair: a client that does not finish it holds up nobody.
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return http.server_address[1]


def main():
    schemas, certificates = sys.argv[1:]
    certificate, key = (Path(certificates) / name for name in ("localhost.pem", "localhost.key"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server, ports = grpc_server(schemas, certificate, key)
    ports |= {"http": http_server("127.0.0.1"), "https": http_server("0.0.0.0", tls)}
    print(json.dumps(ports), flush=True)
    # Until whoever started it goes.
    sys.stdin.read()
    server.stop(0)


main()
