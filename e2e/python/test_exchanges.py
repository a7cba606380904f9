"""idpyoidc, on the other side, judges the exchanges (RFC 8693) that a connector asks for, and whose the tokens are."""

import json
import unittest
import urllib.error
import urllib.request

import broker
import exchanges

server: broker.Broker
peer: exchanges.Server


def setUpModule() -> None:
    global server, peer
    server = broker.Broker()
    unittest.addModuleCleanup(server.stop)
    peer = exchanges.Server()
    unittest.addModuleCleanup(peer.stop)


def call(path: str, body: dict, bearer: str) -> tuple[int, dict]:
    headers = {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def create(name: str, secret: str = exchanges.SECRET, rules: dict | None = None, **data: object) -> tuple[int, dict]:
    """Makes a connector that exchanges tokens at the peer, or is told why not."""
    data = {
        "clientId": "connector",
        "clientSecret": secret,
        "serverConfig": {"token_endpoint": f"{peer.url}/token"},
        "tokenExchange": {"scopes": ["read", "write"], **(rules or {})},
        **data,
    }
    body = {"service": "idpy", "name": name, "type": "oauth", "data": data, "projectId": server.dev["projectId"]}
    return call("/v1/connect/connectors", body, server.dev["accessToken"])


def connector(name: str, rules: dict | None = None, **data: object) -> str:
    """Makes one. Its UID."""
    status, made = create(name, rules=rules, **data)
    assert status == 201, made
    return made["uid"]


def ask(uid: str, token: str, **more: object) -> tuple[int, dict]:
    path = "/v1/connect/token/" + uid.replace("/", "%2F")
    return call(path, {"subject": {"type": "token", "token": token}, **more}, server.dev["oidcToken"])


class Exchanges(unittest.TestCase):
    def test_a_token_of_a_person_becomes_one_of_the_same_person_for_the_connector(self) -> None:
        for number, method in enumerate(("client_secret_basic", "client_secret_post")):
            uid = connector(f"trades-{number}", tokenEndpointAuthMethod=method)
            for person in ("alice", "bob"):
                with self.subTest(method, person=person):
                    inbound = peer.token_of(person, "read", "write")
                    status, given = ask(uid, inbound)
                    self.assertEqual(status, 200, given)
                    self.assertEqual(peer.person(given["token"]), (person, "connector"))
                    sent = peer.asked[-1]
                    self.assertEqual(sent["subject_token"], inbound)
                    self.assertEqual(sent["subject_token_type"], exchanges.ACCESS_TOKEN)
                    self.assertNotIn("actor_token", sent)

    def test_fewer_scopes_and_an_audience_are_asked_for_and_had(self) -> None:
        uid = connector("narrows")
        inbound = peer.token_of("alice", "read", "write")
        status, given = ask(uid, inbound, scopes=["read"])
        self.assertEqual(status, 200, given)
        self.assertEqual(peer.scopes(given["token"]), ["read"])
        bound = connector("bound", rules={"audience": exchanges.AUDIENCE})
        status, given = ask(bound, inbound)
        self.assertEqual((status, peer.asked[-1]["audience"]), (200, exchanges.AUDIENCE), given)

    def test_what_it_refuses_is_told_as_what_it_is(self) -> None:
        uid = connector("refused")
        narrow = peer.token_of("alice", "read")
        ended = peer.token_of("alice", "read", "write")
        peer.revoke(ended)
        elsewhere = connector("elsewhere", rules={"audience": "https://elsewhere.example"})
        for name, answer, code, error in [
            ("nonsense", ask(uid, "never-issued"), "provider_refused", "invalid_request"),
            ("ended", ask(uid, ended), "provider_refused", "invalid_request"),
            ("no such audience", ask(elsewhere, narrow), "invalid_target", "invalid_target"),
        ]:
            with self.subTest(name):
                status, refused = answer
                self.assertEqual(status, 422, refused)
                self.assertEqual((refused["error"]["code"], refused["error"]["vendor"]["error"]), (code, error))
                for secret in (narrow, ended, exchanges.SECRET):
                    self.assertNotIn(secret, json.dumps(refused))

    def test_a_wrong_secret_makes_no_connector(self) -> None:
        status, refused = create("wrong", secret="wr0ng-s3cret")
        self.assertEqual((status, refused["error"].get("field")), (422, "data.clientSecret"), refused)
        self.assertIn("is not what the server knows", refused["error"]["message"])
        self.assertNotIn("wr0ng-s3cret", json.dumps(refused))

    def test_less_than_was_asked_is_not_handed_out(self) -> None:
        # It narrows on its own, and answers 200.
        status, refused = ask(connector("less"), peer.token_of("alice", "read"), scopes=["read", "write"])
        self.assertEqual((status, refused["error"]["code"]), (422, "invalid_scope"), refused)
        self.assertEqual(refused["error"]["missing"], ["write"])


if __name__ == "__main__":
    unittest.main()
