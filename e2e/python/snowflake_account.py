"""A Snowflake account that speaks just enough for Snowflake's own driver to sign in and ask who it is.

It checks what the documentation says is checked: of a key pair the account, the user and the fingerprint of a registered
key; of a workload identity issuer, subject and audience, by the keys that the issuer publishes; of an OAuth token that it
gave it, or that a trusted authorization server signed for it. `Elsewhere` is such a server.
"""

import base64
import gzip
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse
import urllib.request
import uuid

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

NAME = "ACME-PROD"
ADDRESS = "https://acme-prod.snowflakecomputing.com"
WORKLOADS = "snowflakecomputing.com"


class Refused(Exception):
    """With the number and the words that the account has for it."""


def part(token: str) -> dict:
    """The claims of a token that nobody has verified yet."""
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def fetched(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


class Listener:
    """A server on loopback whose pages are methods: ``get_path`` and ``post_path``."""

    def __init__(self) -> None:
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, verb: str) -> None:
                url = urllib.parse.urlsplit(self.path)
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                name = verb + url.path.replace("/", "_").replace("-", "_").replace(".", "_")
                page = getattr(listener, name, None)
                query = dict(urllib.parse.parse_qsl(url.query))
                status, said = page(self.headers, query, body) if page else (404, {})
                if status in (301, 302, 303):
                    self.send_response(status)
                    self.send_header("location", said)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self.answer("get")

            def do_POST(self):
                self.answer("post")

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def basic(headers) -> tuple[str, str]:
    kind, _, text = (headers.get("authorization") or "").partition(" ")
    if kind != "Basic":
        return "", ""
    name, _, secret = base64.b64decode(text).decode().partition(":")
    return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)


class Account(Listener):
    """``keys`` are public keys of users in DER; ``workloads`` are (issuer, subject) of users; ``issuers`` are trusted
    authorization servers. ``logins`` says how each session was opened, and as whom."""

    def __init__(self, name: str = NAME) -> None:
        super().__init__()
        self.name = name
        self.keys: dict[str, bytes] = {}
        self.workloads: dict[tuple[str, str], str] = {}
        self.issuers: dict[str, str] = {}
        self.logins: list[tuple[str, str]] = []
        self.client = ("client=1", "snowflake-client-secret")
        self._codes: dict[str, str] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._refresh: dict[str, str] = {}
        self._sessions: dict[str, tuple[str, str]] = {}

    # Who somebody is

    def by_key_pair(self, token: str) -> str:
        claims = part(token)
        user = claims["sub"].removeprefix(f"{self.name}.")
        der = self.keys.get(user)
        if der is None or not claims["sub"].startswith(f"{self.name}."):
            raise Refused("390144", "JWT token is invalid. [no such user or key]")
        if claims["iss"] != f"{claims['sub']}.SHA256:{base64.b64encode(hashlib.sha256(der).digest()).decode()}":
            raise Refused("390144", "JWT token is invalid. [fingerprint]")
        self._verified(token, RSAKey.import_key(der), "390144")
        if claims["exp"] - claims["iat"] > 3600:
            raise Refused("390144", "JWT token is invalid. [more than an hour]")
        return user

    def by_workload(self, provider: str, token: str) -> str:
        if provider != "OIDC":
            raise Refused("390144", "The provider is not supported.")
        claims = part(token)
        user = self.workloads.get((claims["iss"], claims["sub"]))
        if user is None:
            raise Refused("390144", "No user has this workload identity.")
        if claims["aud"] not in (WORKLOADS, [WORKLOADS]):
            raise Refused("390144", "The audience is not this one.")
        found = fetched(f"{claims['iss']}/.well-known/openid-configuration")
        if found["issuer"] != claims["iss"]:
            raise Refused("390144", "The issuer calls itself otherwise.")
        self._verified(token, KeySet.import_key_set(fetched(found["jwks_uri"])), "390144")
        return user

    def by_oauth(self, token: str) -> tuple[str, str]:
        """The user, and the role in which a session is opened."""
        if token in self._tokens:
            return self._tokens[token]
        try:
            claims = part(token)
            keys = fetched(self.issuers[claims["iss"]])
        except (IndexError, KeyError, ValueError) as unknown:
            raise Refused("390303", "Invalid OAuth access token.") from unknown
        self._verified(token, KeySet.import_key_set(keys), "390303")
        if claims["aud"] != ADDRESS:
            raise Refused("390303", "Invalid OAuth access token. [audience]")
        roles = [scope.removeprefix("session:role:") for scope in claims["scp"] if scope.startswith("session:role:")]
        if not roles:
            raise Refused("390317", "The role requested has not been consented.")
        return claims["sub"].upper(), roles[0]

    def _verified(self, token: str, key, number: str) -> None:
        try:
            claims = jwt.decode(token, key, algorithms=["RS256"]).claims
        except Exception as wrong:
            raise Refused(number, f"The token is invalid. [{wrong}]") from wrong
        if claims["exp"] < time.time() - 60:
            raise Refused(number, "The token is invalid. [ended]")

    # What drivers and the SQL API ask

    def post_session_v1_login_request(self, _headers, _query, body):
        asked = json.loads(body)["data"]
        kind, token = asked.get("AUTHENTICATOR", ""), asked.get("TOKEN", "")
        role = "PUBLIC"
        try:
            if kind == "SNOWFLAKE_JWT":
                user = self.by_key_pair(token)
                if asked.get("LOGIN_NAME", "").upper() != user:
                    raise Refused("390144", "JWT token is invalid. [another user]")
            elif kind == "WORKLOAD_IDENTITY":
                user = self.by_workload(asked.get("PROVIDER", ""), token)
            elif kind == "OAUTH":
                user, role = self.by_oauth(token)
            else:
                raise Refused("390100", "Incorrect username or password was specified.")
        except Refused as refused:
            number, words = refused.args
            return 200, {"data": {"nextAction": "RETRY_LOGIN"}, "code": number, "message": words, "success": False}
        session = secrets.token_urlsafe()
        self._sessions[session] = (user, role)
        self.logins.append((kind, user))
        data = {
            "token": session,
            "masterToken": secrets.token_urlsafe(),
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "displayUserName": user,
            "serverVersion": "9.30.0",
            "sessionId": len(self.logins),
            "parameters": [],
            "sessionInfo": {"databaseName": None, "schemaName": None, "warehouseName": None, "roleName": role},
        }
        return 200, {"data": data, "code": None, "message": None, "success": True}

    def post_queries_v1_query_request(self, headers, _query, body):
        token = (headers.get("authorization") or "").removeprefix('Snowflake Token="').removesuffix('"')
        if token not in self._sessions:
            return 200, {"data": None, "code": "390104", "message": "Session gone.", "success": False}
        user, role = self._sessions[token]
        column = {"type": "text", "length": 16777216, "byteLength": 16777216, "nullable": True, "scale": None,
                  "precision": None, "database": "", "schema": "", "table": "", "collation": None}
        data = {
            "parameters": [],
            "rowtype": [column | {"name": "CURRENT_USER()"}, column | {"name": "CURRENT_ROLE()"}],
            "rowset": [[user, role]],
            "total": 1,
            "returned": 1,
            "queryId": str(uuid.uuid4()),
            "finalRoleName": role,
            "statementTypeId": 4096,
            "version": 1,
            "queryResultFormat": "json",
        }
        return 200, {"data": data, "code": None, "message": None, "success": True}

    def post_session(self, _headers, _query, _body):
        return 200, {"data": None, "code": None, "message": None, "success": True}

    def post_api_v2_statements(self, headers, _query, _body):
        kind = headers.get("x-snowflake-authorization-token-type")
        token = (headers.get("authorization") or "").removeprefix("Bearer ")
        try:
            if kind == "KEYPAIR_JWT":
                user, role = self.by_key_pair(token), "PUBLIC"
            elif kind in (None, "OAUTH"):
                user, role = self.by_oauth(token)
            else:
                raise Refused("390144", "The token type is not known.")
        except Refused as refused:
            number, words = refused.args
            return 401, {"code": number, "message": words}
        return 200, {"code": "090001", "data": [[user, role]], "message": "Statement executed successfully."}

    # Its own authorization server

    def get_oauth_authorize(self, _headers, query, _body):
        code = secrets.token_urlsafe()
        self._codes[code] = query["scope"]
        back = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return 302, f"{query['redirect_uri']}?{back}"

    def post_oauth_token_request(self, headers, _query, body):
        fields = dict(urllib.parse.parse_qsl(body.decode()))
        if basic(headers) != self.client:
            return 401, {"error": "invalid_client", "message": "This is an invalid client."}
        if fields["grant_type"] == "refresh_token":
            scope, new = self._refresh.get(fields["refresh_token"]), None
        else:
            scope, new = self._codes.pop(fields["code"], None), secrets.token_urlsafe()
        if scope is None:
            return 400, {"error": "invalid_grant", "message": "This is an invalid grant."}
        role = next((s.removeprefix("session:role:") for s in scope.split() if s.startswith("session:role:")), "PUBLIC")
        token = secrets.token_urlsafe()
        self._tokens[token] = ("ADA", role)
        said = {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope, "username": "ADA"}
        if new and "refresh_token" in scope.split():
            self._refresh[new] = scope
            said |= {"refresh_token": new, "refresh_token_expires_in": 7776000}
        return 200, said


class DriversAlone(Account):
    """One that drivers can sign in to, and that has neither the SQL API nor an authorization server."""

    def post_api_v2_statements(self, *_):
        return 404, "Not Found"

    def post_oauth_token_request(self, *_):
        return 404, "Not Found"


class Elsewhere(Listener):
    """An authorization server of the customer's own that gives tokens for the account."""

    def __init__(self) -> None:
        super().__init__()
        self.key = RSAKey.generate_key(2048, {"kid": "elsewhere", "use": "sig", "alg": "RS256"})
        self.client = ("elsewhere", "elsewhere-client-secret")
        self.audience = ADDRESS

    def get__well_known_oauth_authorization_server(self, *_):
        return 200, {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def get_jwks(self, *_):
        return 200, {"keys": [self.key.as_dict(private=False)]}

    def post_token(self, headers, _query, body):
        fields = dict(urllib.parse.parse_qsl(body.decode()))
        if basic(headers) != self.client:
            return 401, {"error": "invalid_client"}
        now = int(time.time())
        claims = {"iss": self.url, "sub": "reports", "aud": self.audience, "iat": now, "exp": now + 300,
                  "scp": fields.get("scope", "").split()}
        token = jwt.encode({"alg": "RS256", "kid": "elsewhere"}, claims, self.key, algorithms=["RS256"])
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 300}
