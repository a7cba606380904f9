"""The official Python client, unchanged, against this server: its asynchronous surface, then its synchronous one."""

import unittest
from datetime import UTC, datetime, timedelta
from unittest import mock

import broker
import vercel.connect as connect
import vercel.connect.sync as connect_sync
from vercel.api import session

HELLO = "demo/hello"
APP = connect.ConnectAppTokenSubject()
RETURN = "https://app.example.test/back"

server: broker.Broker


def setUpModule() -> None:
    global server
    server = broker.Broker()
    unittest.addModuleCleanup(server.stop)
    environment = mock.patch.dict("os.environ", {"VERCEL_OIDC_TOKEN": server.dev["oidcToken"]})
    environment.start()
    unittest.addModuleCleanup(environment.stop)


def here():
    """A session of the client that speaks to our server."""
    return session(service_options=[connect.ConnectServiceOptions(base_url=server.url)])


def user(name: str) -> connect.ConnectUserTokenSubject:
    return connect.ConnectUserTokenSubject(id=name)


FRESH = connect.ConnectOptions(force_refresh=True)


class Checks(unittest.TestCase):
    """What both surfaces must show; they differ in ``await`` alone."""

    def is_app_token(self, response) -> None:
        self.assertEqual((response.connector.uid, response.connector.type), (HELLO, "oauth"))
        self.assertGreater(response.expires_at, datetime.now(UTC))
        self.assertTrue(response.token_id.startswith("stk_"))
        status, who = server.at_the_provider(response.token)
        self.assertEqual((status, who["type"]), (200, "app"))

    def is_started(self, started) -> None:
        self.assertTrue(started.url.startswith(server.url))
        self.assertTrue(started.request.startswith("car_"))
        self.assertTrue(started.verifier)
        self.assertEqual(started.connector.uid, HELLO)

    def is_hello(self, metadata) -> None:
        self.assertEqual((metadata.uid, metadata.type, metadata.service), (HELLO, "oauth", "demo"))
        self.assertNotIn("clientSecret", metadata.model_dump_json())


class Asynchronous(Checks, unittest.IsolatedAsyncioTestCase):
    async def test_app_tokens(self) -> None:
        async with here():
            response = await connect.get_token_response(HELLO, subject=APP)
            self.is_app_token(response)
            self.assertEqual(await connect.get_token(HELLO, subject=APP), response.token)
            before = server.last_issue()
            await connect.get_token(HELLO, subject=APP)
            self.assertEqual(server.last_issue(), before)
            await connect.get_token(HELLO, subject=APP, options=FRESH)
            self.assertGreater(server.last_issue(), before)

    async def test_a_user_consents_and_is_revoked(self) -> None:
        alice = user("py-async")
        async with here():
            with self.assertRaises(connect.UserAuthorizationRequiredError) as refused:
                await connect.get_token(HELLO, subject=alice)
            self.assertEqual(refused.exception.code, "user_authorization_required")
            started = await connect.start_authorization(HELLO, subject=alice, return_url=RETURN)
            self.is_started(started)
            self.assertTrue(broker.consent(started.url, RETURN).startswith(RETURN))
            token = await connect.get_token(HELLO, subject=alice)
            self.assertEqual(server.at_the_provider(token)[1]["type"], "person")
            await connect.revoke_token(HELLO, subject=alice)
            with self.assertRaises(connect.UserAuthorizationRequiredError):
                await connect.get_token(HELLO, subject=alice, options=FRESH)
            self.assertEqual(server.at_the_provider(token)[0], 401)

    async def test_metadata_and_refusals(self) -> None:
        async with here():
            self.is_hello(await connect.get_connector_metadata(HELLO))
            with self.assertRaises(connect.ConnectNotFoundError):
                await connect.get_token("nope/nope", subject=APP)
            with self.assertRaises(connect.ConnectorInstallationRequiredError):
                await connect.get_token(HELLO, subject=APP, installation_id="sci_0000000000000000000000")
            started = await connect.start_authorization(
                HELLO, subject=user("py-device"), device_code=True, expires_in=timedelta(minutes=1)
            )
            self.assertTrue(started.device_code)
            self.assertEqual(started.url, f"{server.url}/device")
            broker.consent(started.url, "(the end)", started.device_code)
            self.assertTrue(await connect.get_token(HELLO, subject=user("py-device"), options=FRESH))


class Synchronous(Checks):
    def test_app_tokens(self) -> None:
        with here():
            response = connect_sync.get_token_response(HELLO, subject=APP)
            self.is_app_token(response)
            self.assertEqual(connect_sync.get_token(HELLO, subject=APP), response.token)
            before = server.last_issue()
            connect_sync.get_token(HELLO, subject=APP)
            self.assertEqual(server.last_issue(), before)
            connect_sync.get_token(HELLO, subject=APP, options=FRESH)
            self.assertGreater(server.last_issue(), before)

    def test_a_user_consents_and_is_revoked(self) -> None:
        alice = user("py-sync")
        with here():
            with self.assertRaises(connect.UserAuthorizationRequiredError):
                connect_sync.get_token(HELLO, subject=alice)
            started = connect_sync.start_authorization(HELLO, subject=alice, return_url=RETURN)
            self.is_started(started)
            self.assertTrue(broker.consent(started.url, RETURN).startswith(RETURN))
            token = connect_sync.get_token(HELLO, subject=alice)
            self.assertEqual(server.at_the_provider(token)[1]["type"], "person")
            connect_sync.revoke_token(HELLO, subject=alice)
            with self.assertRaises(connect.UserAuthorizationRequiredError):
                connect_sync.get_token(HELLO, subject=alice, options=FRESH)

    def test_metadata_and_refusals(self) -> None:
        with here():
            self.is_hello(connect_sync.get_connector_metadata(HELLO))
            with self.assertRaises(connect.ConnectNotFoundError):
                connect_sync.get_token("nope/nope", subject=APP)


if __name__ == "__main__":
    unittest.main()
