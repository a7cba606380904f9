"""The official Python client asserts an identity; Authlib, on the other side, judges what the broker signed."""

import json
import time
import unittest
import urllib.error
import urllib.request
from unittest import mock

import assertions
import broker
from vercel.api import session
from vercel.connect import ConnectJwtBearerTokenSubject as Asserted
from vercel.connect import ConnectServiceOptions
from vercel.connect.sync import get_token

server: broker.Broker
peer: assertions.Server


def setUpModule() -> None:
    global server, peer
    server = broker.Broker()
    unittest.addModuleCleanup(server.stop)
    peer = assertions.Server()
    unittest.addModuleCleanup(peer.stop)
    environment = mock.patch.dict("os.environ", {"VERCEL_OIDC_TOKEN": server.dev["oidcToken"]})
    environment.start()
    unittest.addModuleCleanup(environment.stop)


def call(method: str, path: str, body: dict | None = None, bearer: str | None = None) -> tuple[int, dict]:
    headers = {"authorization": f"Bearer {bearer or server.dev['accessToken']}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def connector(name: str, algorithm: str, rules: dict | None = None) -> str:
    """A connector to the peer, which is told where its keys are. Its UID."""
    data = {
        "clientId": name,
        "serverConfig": {"token_endpoint": f"{peer.url}/token"},
        "signingAlgorithm": algorithm,
        "jwtBearer": {"useClientCredentials": False, **(rules or {})},
    }
    body = {"service": "authlib", "name": name, "type": "oauth", "data": data, "projectId": server.dev["projectId"]}
    status, made = call("POST", "/v1/connect/connectors", body)
    assert status == 201, made
    _, keys = call("GET", f"/v1/connect/connectors/{made['id']}/keys")
    peer.clients[name] = assertions.Client(name, keys["jwksUri"])
    return made["uid"]


def refusal(uid: str, subject: dict) -> dict:
    path = "/v1/connect/token/" + uid.replace("/", "%2F")
    status, answer = call("POST", path, {"subject": subject}, server.dev["oidcToken"])
    assert status == 422, answer
    return answer["error"]


class Assertions(unittest.TestCase):
    def test_authlib_believes_what_the_connector_signed(self) -> None:
        for algorithm in ("RS256", "ES256"):
            with self.subTest(algorithm), session(service_options=[ConnectServiceOptions(base_url=server.url)]):
                uid = connector(f"client-{algorithm.lower()}", algorithm)
                subject = Asserted(sub="alice@acme.example", additional_claims={"role": "clerk"})
                token = get_token(uid, subject=subject)
                self.assertEqual(peer.tokens[token], "alice@acme.example")
                claims = peer.asserted[-1]
                self.assertEqual(claims["role"], "clerk")
                self.assertLessEqual(claims["exp"], time.time() + 181)
                other = get_token(uid, subject=Asserted(sub="bob@acme.example"))
                self.assertEqual(peer.tokens[other], "bob@acme.example")

    def test_what_authlib_refuses_is_told_in_its_words(self) -> None:
        uid = connector("client-refused", "ES256")
        for subject, why in [
            ({"sub": "mallory@acme.example"}, "sub"),
            ({"sub": "alice@acme.example", "iss": "somebody-else"}, "client"),
            ({"sub": "alice@acme.example", "aud": "https://elsewhere.example"}, "aud"),
        ]:
            with self.subTest(why):
                error = refusal(uid, {"type": "jwt-bearer", **subject})
                self.assertEqual((error["code"], error["vendor"]["error"]), ("provider_refused", "invalid_grant"))
                self.assertIn(why, error["vendor"]["description"].lower())

    def test_another_connectors_key_is_not_taken(self) -> None:
        uid = connector("client-mine", "ES256")
        connector("client-other", "ES256")
        peer.clients["client-mine"].jwks_uri = peer.clients["client-other"].jwks_uri
        error = refusal(uid, {"type": "jwt-bearer", "sub": "alice@acme.example"})
        self.assertEqual(error["code"], "provider_refused")


if __name__ == "__main__":
    unittest.main()
