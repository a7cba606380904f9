"""Forwarded events at an app in Python: the official verifier takes them in their own environment, and nowhere else."""

import datetime
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import queue
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import broker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER_HOST = "oidc.vercel.com"
SECRET = "what-slack-signs-with"

server: broker.Broker
port_of_owner: int
connector: dict
trusted: pathlib.Path
arrived: "queue.Queue[tuple[str, dict[str, str], bytes]]" = queue.Queue()


class App(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        arrived.put((self.path.split("/")[1], dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


class Owner(http.server.BaseHTTPRequestHandler):
    """The key set at the name that the verifier pins."""

    def do_GET(self) -> None:
        with urllib.request.urlopen(server.url + self.path) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def serve(handler, context: ssl.SSLContext | None = None) -> int:
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    unittest.addModuleCleanup(listener.server_close)
    unittest.addModuleCleanup(listener.shutdown)
    return listener.server_address[1]


def certificate(folder: pathlib.Path) -> ssl.SSLContext:
    """One for the name, signed by itself; its file is what the verifier is told to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER_HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ISSUER_HOST)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    (folder / "owner.pem").write_bytes(made.public_bytes(encoding))
    (folder / "owner.key").write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "owner.pem", folder / "owner.key")
    return context


def api(method: str, path: str, body: dict) -> dict:
    headers = {"authorization": f"Bearer {server.dev['accessToken']}", "content-type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def setUpModule() -> None:
    global server, port_of_owner, trusted, connector
    folder = tempfile.TemporaryDirectory(prefix="carnet-e2e-")
    unittest.addModuleCleanup(folder.cleanup)
    server = broker.Broker("--issuer", f"https://{ISSUER_HOST}")
    unittest.addModuleCleanup(server.stop)
    port_of_owner = serve(Owner, certificate(pathlib.Path(folder.name)))
    trusted = pathlib.Path(folder.name) / "owner.pem"
    project = server.dev["projectId"]
    app = f"http://127.0.0.1:{serve(App)}"
    urls = [{"environment": name, "url": f"{app}/{name}"} for name in ("production", "preview")]
    api("PUT", f"/v1/projects/{project}/urls", {"urls": urls})
    connector = api(
        "POST",
        "/v1/connect/connectors",
        {
            "service": "slack",
            "type": "api-key",
            "name": "bot",
            "data": {"subjectType": "app", "values": [{"value": "a-key"}]},
            "triggers": {"enabled": True, "signingSecret": SECRET},
            "projectId": project,
        },
    )
    destinations = [{"projectId": project}, {"projectId": project, "branch": "main"}]
    path = f"/v1/connect/connectors/{connector['id']}/trigger-destinations"
    api("PATCH", path, {"destinations": destinations})


def send(body: bytes) -> None:
    at = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-slack-request-timestamp": at,
        "x-slack-signature": f"v0={signed}",
    }
    url = f"{server.url}/connect/trigger/{connector['id']}"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        assert answer.status == 200


def accepted(headers: dict[str, str], *expected: dict[str, str]) -> list[bool]:
    """What the official verifier says, of each thing that could be expected."""
    asked = {"host": ISSUER_HOST, "port": port_of_owner, "headers": headers, "expected": expected}
    told = subprocess.run(
        [sys.executable, pathlib.Path(__file__).with_name("verifier.py")],
        input=json.dumps(asked),
        env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(trusted)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


class Verifier(unittest.TestCase):
    def test_a_forwarded_event_is_taken_in_its_own_environment_and_nowhere_else(self) -> None:
        body = b'{ "type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"app_mention"} }'
        send(body)
        project = server.dev["projectId"]
        for _ in range(2):
            environment, headers, got = arrived.get(timeout=60)
            self.assertEqual(got, body)
            self.assertEqual(headers["x-trigger-uid"], "slack/bot")
            other = "preview" if environment == "production" else "production"
            told = accepted(
                headers,
                {"project_id": project, "environment": environment},
                {"project_id": project, "environment": other},
                {"project_id": "prj_0000000000000000000000", "environment": environment},
            )
            self.assertEqual(told, [True, False, False], environment)
