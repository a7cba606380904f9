"""An authorization server for assertions (RFC 7523 §2.1) made of Authlib, which verifies them in its own words.

It knows its clients by their key sets, reads these where it is told that they are, and has two people. Like Salesforce it
says neither how long a token lives nor which scopes it has.
"""

import http.server
import json
import os
import secrets
import threading
import urllib.parse
import urllib.request

# Authlib refuses to speak without TLS anywhere; this is one machine.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request  # noqa: E402
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # noqa: E402
from authlib.oauth2.rfc7523 import JWTBearerGrant  # noqa: E402
from joserfc.jwk import KeySet  # noqa: E402

PEOPLE = {"alice@acme.example", "bob@acme.example"}


class Client:
    def __init__(self, issuer: str, jwks_uri: str) -> None:
        self.issuer, self.jwks_uri = issuer, jwks_uri

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == JWTBearerGrant.GRANT_TYPE


class Request(OAuth2Request):
    def __init__(self, uri: str, fields: dict[str, str]) -> None:
        super().__init__("POST", uri)
        self.payload = BasicOAuth2Payload(fields)
        self._fields = fields

    @property
    def form(self) -> dict[str, str]:
        return self._fields


class Server(AuthorizationServer):
    """Who asked and what was asserted is in ``asserted``; which token is whose, in ``tokens``."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[str, Client] = {}
        self.asserted: list[dict] = []
        self.tokens: dict[str, str] = {}
        peer = self

        class Grant(JWTBearerGrant):
            def resolve_issuer_client(self, issuer):
                return peer.clients.get(issuer)

            def resolve_client_public_key(self, client):
                with urllib.request.urlopen(client.jwks_uri) as answer:
                    return KeySet.import_key_set(json.load(answer))

            def get_audiences(self):
                return [f"{peer.url}/token"]

            def authenticate_user(self, subject):
                return subject if subject in PEOPLE else None

            def has_granted_permission(self, client, user):
                return True

            def process_assertion_claims(self, assertion):
                claims = super().process_assertion_claims(assertion)
                peer.asserted.append(dict(claims))
                return claims

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                fields = dict(urllib.parse.parse_qsl(body))
                status, answer = peer.create_token_response(Request(f"{peer.url}{self.path}", fields))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.register_grant(Grant)
        self.register_token_generator("default", self._token)
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:{}".format(self._http.server_address[1])
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def _token(self, *, user, **_) -> dict:
        token = secrets.token_urlsafe(24)
        self.tokens[token] = user
        return {"access_token": token, "token_type": "Bearer"}

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    # What Authlib asks of whoever puts it to use.
    def query_client(self, client_id):
        return self.clients.get(client_id)

    def save_token(self, token, request):
        pass

    def send_signal(self, name, *args, **kwargs):
        pass

    def create_oauth2_request(self, request):
        return request

    def handle_response(self, status, body, headers):
        return status, body
