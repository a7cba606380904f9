"""An authorization server that exchanges tokens (RFC 8693), made of idpyoidc, which judges requests in its own words.

People have sessions at one client, a front end; another, the connector, may exchange the tokens of these for its own. It
knows one audience and one resource, takes no tokens of actors, and gives no more scopes than the inbound token has.
"""

import http.server
import json
import logging
import threading
import urllib.parse

from idpyoidc.message.oauth2 import AuthorizationRequest
from idpyoidc.server import Server as Idpy
from idpyoidc.server.authn_event import create_authn_event
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
AUDIENCE = "https://api.acme.example"
SECRET = "secret-of-the-connector-at-idpy"
# What it refuses it says in its answer.
logging.getLogger("idpyoidc").setLevel(logging.CRITICAL)
USAGE = {"access_token": {"supports_minting": ["access_token"], "expires_in": 600}}


class Server:
    """What arrived is in ``asked``."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                fields = dict(urllib.parse.parse_qsl(text))
                status, answer = peer.token(fields, self.headers.get("authorization"))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.idpy = self._server()
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _server(self) -> Idpy:
        policy = {
            "function": "idpyoidc.server.oauth2.token_helper.validate_token_exchange_policy",
            "kwargs": {"audience": [AUDIENCE], "resource": [AUDIENCE]},
        }
        helper = {
            "class": "idpyoidc.server.oauth2.token_helper.token_exchange.TokenExchangeHelper",
            "kwargs": {
                "subject_token_types_supported": [ACCESS_TOKEN],
                "requested_token_types_supported": [ACCESS_TOKEN],
                "policy": {"": policy},
            },
        }
        conf = {
            "issuer": self.url,
            "httpc_params": {"verify": False},
            "key_conf": {"key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]},
            "scopes_supported": ["read", "write", "admin"],
            "token_handler_args": {
                "jwks_def": {"key_defs": [{"type": "oct", "bytes": 24, "use": ["enc"], "kid": "code"}]},
                "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 600}},
            },
            "endpoint": {
                "token": {
                    "path": "token",
                    "class": "idpyoidc.server.oauth2.token.Token",
                    "kwargs": {
                        "client_authn_method": ["client_secret_basic", "client_secret_post"],
                        "grant_types_helpers": {EXCHANGE: helper},
                    },
                },
            },
            "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {"alice": {}, "bob": {}}}},
            "authz": {
                "class": "idpyoidc.server.authz.AuthzHandling",
                "kwargs": {"grant_config": {"usage_rules": USAGE, "expires_in": 3600}},
            },
        }
        idpy = Idpy(ASConfiguration(conf=conf, base_path=""))
        for name, secret in (("front", "secret-of-the-front-end"), ("connector", SECRET)):
            idpy.context.cdb[name] = {
                "client_secret": secret,
                "redirect_uris": [("https://front.example/cb", None)],
                "client_salt": "salted",
                "response_types_supported": ["code"],
                "allowed_scopes": ["read", "write"],
                "grant_types_supported": [EXCHANGE],
            }
            idpy.context.keyjar.add_symmetric(name, secret, ["sig"])
        return idpy

    def token_of(self, person: str, *scopes: str) -> str:
        """A token that the front end has of this person."""
        manager = self.idpy.context.session_manager
        request = AuthorizationRequest(
            client_id="front", redirect_uri="https://front.example/cb", scope=list(scopes), state="s", response_type="code"
        )
        session = manager.create_session(
            create_authn_event(person), request, person, client_id="front", token_usage_rules=USAGE, scopes=list(scopes)
        )
        grant = manager.get_grant(session)
        return grant.mint_token(
            session_id=session, context=self.idpy.context, token_class="access_token",
            token_handler=manager.token_handler["access_token"], scope=list(scopes),
        ).value

    def person(self, token: str) -> tuple[str, str]:
        """Whose a token is, and which client has it."""
        found = self.idpy.context.session_manager.get_session_info_by_token(token, handler_key="access_token")
        return found["user_id"], found["client_id"]

    def scopes(self, token: str) -> list[str]:
        return self._find(token).scope

    def revoke(self, token: str) -> None:
        self._find(token).revoked = True

    def _find(self, token: str):
        manager = self.idpy.context.session_manager
        session = manager.get_session_info_by_token(token, handler_key="access_token")["branch_id"]
        return manager.find_token(session, token)

    def token(self, fields: dict[str, str], authorization: str | None) -> tuple[int, dict]:
        self.asked.append(fields)
        endpoint = self.idpy.get_endpoint("token")
        headers = {"headers": {"authorization": authorization} if authorization else {}}
        try:
            request = endpoint.parse_request(fields, http_info=headers)
            answer = request if "error" in request else endpoint.process_request(request)
        except ClientAuthenticationError:
            return 401, {"error": "invalid_client"}
        if "error" in answer:
            return 401 if answer["error"] == "invalid_client" else 400, answer.to_dict()
        return 200, answer["response_args"].to_dict()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
