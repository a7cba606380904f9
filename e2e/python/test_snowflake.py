"""Snowflake's own driver opens sessions with what the broker gives: by key pair, by workload identity, for people, and
from another authorization server."""

import json
import socket
import unittest
import urllib.error
import urllib.request
from unittest import mock

import broker
import snowflake.connector as snowflake
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.auth import AuthByKeyPair
from snowflake_account import ADDRESS, Account, DriversAlone, Elsewhere

server: broker.Broker
account: Account
drivers_alone: DriversAlone
APP = {"type": "app"}


def setUpModule() -> None:
    global server, account, drivers_alone
    account = Account()
    unittest.addModuleCleanup(account.stop)
    drivers_alone = DriversAlone("ACME-LAB")
    unittest.addModuleCleanup(drivers_alone.stop)
    lab = f"https://acme-lab.snowflakecomputing.com={drivers_alone.url}"
    server = broker.Broker("--provider-origin", f"{ADDRESS}={account.url}", "--provider-origin", lab)
    unittest.addModuleCleanup(server.stop)


def call(method: str, path: str, body: dict | None = None, bearer: str | None = None) -> tuple[int, dict]:
    headers = {"authorization": f"Bearer {bearer or server.dev['accessToken']}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def create(name: str, data: dict) -> tuple[int, dict]:
    data = {"accountIdentifier": "acme-prod"} | data
    body = {"service": "snowflake", "name": name, "type": "snowflake", "data": data}
    return call("POST", "/v1/connect/connectors", body | {"projectId": server.dev["projectId"]})


def connector(name: str, data: dict) -> dict:
    status, made = create(name, data)
    assert status == 201, made
    return made


def token(made: dict, subject: dict = APP) -> dict:
    path = "/v1/connect/token/" + made["uid"].replace("/", "%2F")
    status, answer = call("POST", path, {"subject": subject, "scopes": ["*"]}, server.dev["oidcToken"])
    assert status == 200, answer
    return answer


HOST = ADDRESS.removeprefix("https://")
resolve = socket.getaddrinfo


def nearby(host, *how, **more):
    """The account is on this machine. By another name the driver shows it no workload identity."""
    return resolve("127.0.0.1" if host == HOST else host, *how, **more)


def session(**how) -> tuple[str, str]:
    """Who the driver is once it has signed in, and in which role."""
    quiet = {"CLIENT_TELEMETRY_ENABLED": False, "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
    there = {"account": "acme-prod", "host": HOST, "port": account.port, "protocol": "http"}
    with mock.patch("socket.getaddrinfo", nearby), mock.patch.dict("os.environ", {"NO_PROXY": "*"}):
        opened = snowflake.connect(**there, login_timeout=20, session_parameters=quiet, **how)
        try:
            return opened.cursor().execute("select current_user(), current_role()").fetchone()
        finally:
            opened.close()


class GivenKeyPair(AuthByKeyPair):
    """A token that the broker signed, in the place of one that the driver signs itself."""

    def __init__(self, given: str) -> None:
        super().__init__(private_key=b"")
        self.given = given

    def prepare(self, **_) -> str:
        self._jwt_token = self.given
        return self.given


class Snowflake(unittest.TestCase):
    def test_a_service_user_with_a_key_pair(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        data = {"username": "svc_key", "privateKeyPem": pem}
        status, refused = create("key", data)
        self.assertEqual((status, refused["error"]["field"]), (422, "data.privateKeyPem"), "nobody registered it yet")
        account.keys["SVC_KEY"] = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        given = token(connector("key", data))
        self.assertEqual(given["metadata"]["tokenType"], "KEYPAIR_JWT")
        signed_in = session(user="svc_key", auth_class=GivenKeyPair(given["token"]))
        self.assertEqual(signed_in, ("SVC_KEY", "PUBLIC"))
        self.assertEqual(account.logins[-1], ("SNOWFLAKE_JWT", "SVC_KEY"))
        headers = {
            "authorization": f"Bearer {given['token']}",
            "x-snowflake-authorization-token-type": given["metadata"]["tokenType"],
        }
        request = urllib.request.Request(f"{account.url}/api/v2/statements", b"{}", headers)
        with urllib.request.urlopen(request) as answer:
            self.assertEqual(json.load(answer)["data"], [["SVC_KEY", "PUBLIC"]])

    def test_a_service_user_that_trusts_the_connector(self) -> None:
        made = connector("workload", {"workloadIdentity": True, "username": "svc_workload"})
        trusted = made["data"]["federatedCredential"]
        given = token(made)
        self.assertEqual(given["metadata"]["workloadIdentityProvider"], "OIDC")
        how = {"authenticator": given["metadata"]["tokenType"], "token": given["token"]}
        how["workload_identity_provider"] = given["metadata"]["workloadIdentityProvider"]
        with self.assertRaises(snowflake.errors.DatabaseError):
            session(**how)
        # CREATE USER … WORKLOAD_IDENTITY = (TYPE = OIDC ISSUER = … SUBJECT = …)
        account.workloads[(trusted["issuer"], trusted["subject"])] = "SVC_WORKLOAD"
        self.assertEqual(session(**how), ("SVC_WORKLOAD", "PUBLIC"))
        self.assertEqual(account.logins[-1], ("WORKLOAD_IDENTITY", "SVC_WORKLOAD"))
        other = token(connector("other", {"workloadIdentity": True}))
        with self.assertRaises(snowflake.errors.DatabaseError):
            session(**(how | {"token": other["token"]}))

    def test_an_account_that_drivers_alone_can_be_asked_at(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        lab = {"accountIdentifier": "acme-lab"}
        by_key = lab | {"username": "svc", "privateKeyPem": pem}
        status, refused = create("lab-key", by_key)
        self.assertEqual((status, refused["error"]["field"]), (422, "data.privateKeyPem"))
        self.assertIn("no such user or key", refused["error"]["message"])
        drivers_alone.keys["SVC"] = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.assertNotIn("notChecked", connector("lab-key", by_key)["data"])
        self.assertEqual(drivers_alone.logins, [("SNOWFLAKE_JWT", "SVC")])
        self.assertNotIn("notChecked", connector("lab-workload", lab | {"workloadIdentity": True})["data"])
        people = connector("lab-people", lab | {"clientId": "c", "clientSecret": "nobody-can-say"})
        self.assertEqual(people["data"]["notChecked"], ["clientSecret"])
        elsewhere = Elsewhere()
        self.addCleanup(elsewhere.stop)
        name, secret = elsewhere.client
        client = {"clientId": name, "clientSecret": secret, "serverUrl": elsewhere.url}
        client |= {"userAuthorization": {"enabled": False}, "clientCredentials": {"enabled": True, "scopes": ["x"]}}
        connector("lab-elsewhere", lab | {"externalOauth": client})

    def test_a_person_in_the_role_that_was_consented_to(self) -> None:
        name, secret = account.client
        data = {"clientId": name, "clientSecret": secret, "defaultSessionRole": "ANALYST"}
        status, refused = create("people", data | {"clientSecret": "wrong"})
        self.assertEqual((status, refused["error"]["field"]), (422, "data.clientSecret"))
        made = connector("people", data)
        ada = {"type": "user", "id": "ada"}
        path = "/v1/connect/authorize/" + made["uid"].replace("/", "%2F")
        status, started = call("POST", path, {"subject": ada, "scopes": ["*"]}, server.dev["oidcToken"])
        self.assertEqual(status, 200, started)
        broker.consent(started["url"], "(the end)")
        given = token(made, ada)
        self.assertEqual((given["metadata"]["tokenType"], given["externalSubject"]), ("OAUTH", "ADA"))
        self.assertEqual(session(user="ada", authenticator="oauth", token=given["token"]), ("ADA", "ANALYST"))
        with self.assertRaises(snowflake.errors.DatabaseError):
            session(user="ada", authenticator="oauth", token=given["token"] + "x")

    def test_a_token_of_another_authorization_server(self) -> None:
        elsewhere = Elsewhere()
        self.addCleanup(elsewhere.stop)
        name, secret = elsewhere.client
        client = {"clientId": name, "clientSecret": secret, "userAuthorization": {"enabled": False}}
        client["clientCredentials"] = {"enabled": True, "scopes": ["session:role:REPORTER"]}
        status, refused = create("nowhere", {"externalOauth": client | {"serverUrl": f"{elsewhere.url}/nothing"}})
        self.assertEqual((status, refused["error"]["field"]), (422, "data.externalOauth.serverUrl"))
        made = connector("elsewhere", {"externalOauth": client | {"serverUrl": elsewhere.url}})
        self.assertNotIn(secret, json.dumps(made))
        given = token(made)
        how = {"user": "reports", "authenticator": "oauth", "token": given["token"]}
        with self.assertRaises(snowflake.errors.DatabaseError):
            session(**how)
        # CREATE SECURITY INTEGRATION … TYPE = EXTERNAL_OAUTH
        account.issuers[elsewhere.url] = f"{elsewhere.url}/jwks"
        self.assertEqual(session(**how), ("REPORTS", "REPORTER"))
