"""The cases of the official Python client's own tests/test_client.py that need a server, under their
names, for JSON and Protobuf, against the real gateway. Those of history, recovery and presence stand in
official_streams.py.

    official.py WEBSOCKET_URL

The gateway must run with config/python.toml. What is not here, and why: SKIPPED.md.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import sys
import unittest
import uuid

from centrifuge import (
    CentrifugeError,
    Client,
    ClientState,
    DeltaType,
    DuplicateSubscriptionError,
    SubscriptionState,
    UnauthorizedError,
)

URL = ""
SECRET = b"secret"
WIRES = (("json", False), ("protobuf", True))
DELTAS = (None, DeltaType.FOSSIL)
DEADLINE = 10

def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token(user: str, channel: str = "") -> str:
    claims = {"sub": user} | ({"channel": channel} if channel else {})
    header = encode(b'{"typ":"JWT","alg":"HS256"}')
    signed = f"{header}.{encode(json.dumps(claims).encode())}"
    return f"{signed}.{encode(hmac.new(SECRET, signed.encode(), hashlib.sha256).digest())}"


async def connection_token() -> str:
    return token("42")


async def subscription_token(channel: str) -> str:
    return token("42", channel)


async def refuse(*_: str) -> str:
    raise UnauthorizedError


def unique(name: str) -> str:
    return name + uuid.uuid4().hex


def payload(value: dict, use_protobuf: bool):
    """Protobuf clients send and get bytes."""
    return json.dumps(value, separators=(",", ":")).encode() if use_protobuf else value


class Case(unittest.IsolatedAsyncioTestCase):
    """Clients that are closed at the end, and one-shot futures for their events."""

    def client(self, use_protobuf: bool = False, get_token=connection_token) -> Client:
        client = Client(URL, use_protobuf=use_protobuf, get_token=get_token)
        self.addAsyncCleanup(client.disconnect)
        return client

    async def connected(self, **options) -> Client:
        client = self.client(**options)
        await client.connect()
        await client.ready(DEADLINE)
        return client

    def once(self, events, name: str) -> asyncio.Future:
        """The context of the first event of that name."""
        future = asyncio.get_running_loop().create_future()

        async def handler(context) -> None:
            if not future.done():
                future.set_result(context)

        setattr(events, name, handler)
        return future

    async def soon(self, future: asyncio.Future):
        return await asyncio.wait_for(future, DEADLINE)

    async def on_both_wires(self, case) -> None:
        for wire, use_protobuf in WIRES:
            with self.subTest(wire=wire):
                await case(use_protobuf)


class TestClient(Case):
    async def test_client_connects_disconnects(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            self.assertEqual(client.state, ClientState.CONNECTED)
            await client.disconnect()
            self.assertEqual(client.state, ClientState.DISCONNECTED)

        await self.on_both_wires(case)


class TestConnectDisconnectLoop(Case):
    async def test_connect_disconnect_loop(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf)
            for _ in range(3):
                await client.connect()
                await client.ready(DEADLINE)
                self.assertEqual(client.state, ClientState.CONNECTED)
                await client.disconnect()
                self.assertEqual(client.state, ClientState.DISCONNECTED)

        await self.on_both_wires(case)


class TestSubscription(Case):
    async def test_client_subscribe_unsubscribes(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            sub = client.new_subscription("channel", get_token=subscription_token)
            await sub.subscribe()
            await sub.ready(DEADLINE)
            self.assertEqual(sub.state, SubscriptionState.SUBSCRIBED)
            await sub.unsubscribe()
            self.assertEqual(sub.state, SubscriptionState.UNSUBSCRIBED)

        await self.on_both_wires(case)


class TestSubscribeUnsubscribeLoop(Case):
    async def test_subscribe_unsubscribe_loop(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            sub = client.new_subscription(unique("loop"), get_token=subscription_token)
            for _ in range(3):
                await sub.subscribe()
                await sub.ready(DEADLINE)
                self.assertEqual(sub.state, SubscriptionState.SUBSCRIBED)
                await sub.unsubscribe()
                self.assertEqual(sub.state, SubscriptionState.UNSUBSCRIBED)

        await self.on_both_wires(case)


class TestMultipleSubscriptions(Case):
    async def test_multiple_subscriptions(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            subs = [client.new_subscription(unique("multi"), get_token=subscription_token) for _ in range(5)]
            for sub in subs:
                await sub.subscribe()
            for sub in subs:
                await sub.ready(DEADLINE)
                self.assertEqual(sub.state, SubscriptionState.SUBSCRIBED)
            self.assertEqual(len(client.subscriptions()), 5)
            for sub in subs:
                await sub.unsubscribe()

        await self.on_both_wires(case)


class TestSubscriptionManagement(Case):
    async def test_get_subscription(self) -> None:
        client = self.client()
        channel = unique("get")
        sub = client.new_subscription(channel, get_token=subscription_token)
        self.assertIs(client.get_subscription(channel), sub)
        self.assertIsNone(client.get_subscription("nonexistent"))

    async def test_remove_subscription(self) -> None:
        client = self.client()
        channel = unique("remove")
        sub = client.new_subscription(channel, get_token=subscription_token)
        client.remove_subscription(sub)
        self.assertIsNone(client.get_subscription(channel))

    async def test_duplicate_subscription_raises(self) -> None:
        client = self.client()
        channel = unique("duplicate")
        client.new_subscription(channel, get_token=subscription_token)
        with self.assertRaises(DuplicateSubscriptionError):
            client.new_subscription(channel, get_token=subscription_token)

    async def test_remove_subscribed_subscription_raises(self) -> None:
        client = await self.connected()
        channel = unique("remove")
        sub = client.new_subscription(channel, get_token=subscription_token)
        await sub.subscribe()
        await sub.ready(DEADLINE)
        with self.assertRaises(CentrifugeError):
            client.remove_subscription(sub)
        await sub.unsubscribe()
        client.remove_subscription(sub)
        self.assertIsNone(client.get_subscription(channel))


class TestPubSub(Case):
    async def test_pub_sub(self) -> None:
        for delta in DELTAS:
            with self.subTest(delta=delta):
                await self.pub_sub(delta)

    async def pub_sub(self, delta) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            heard: asyncio.Queue = asyncio.Queue()
            sub = client.new_subscription(unique("pub_sub"), get_token=subscription_token, delta=delta)

            async def on_publication(context) -> None:
                await heard.put(context.pub.data)

            sub.events.on_publication = on_publication
            await sub.subscribe()
            long = payload({"input": "a message that is long enough for a difference to pay. " * 2}, use_protobuf)
            short = payload({"input": "hello"}, use_protobuf)
            for data in (long, long, short):
                await sub.publish(data=data)
                self.assertEqual(await asyncio.wait_for(heard.get(), DEADLINE), data)

        await self.on_both_wires(case)


class TestClientTokenInvalid(Case):
    async def test_client_token(self) -> None:
        async def invalid() -> str:
            return "invalid_token"

        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf, get_token=invalid)
            disconnected = self.once(client.events, "on_disconnected")
            await client.connect()
            self.assertEqual((await self.soon(disconnected)).code, 3500)
            self.assertEqual(client.state, ClientState.DISCONNECTED)

        await self.on_both_wires(case)


class TestClientTokenUnauthorized(Case):
    async def test_unauthorized_token(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf, get_token=refuse)
            disconnected = self.once(client.events, "on_disconnected")
            await client.connect()
            self.assertEqual((await self.soon(disconnected)).code, 1)
            self.assertEqual(client.state, ClientState.DISCONNECTED)

        await self.on_both_wires(case)


class TestSubscriptionTokenInvalid(Case):
    async def test_client_token(self) -> None:
        async def invalid(channel: str) -> str:
            self.assertEqual(channel, "channel")
            return "invalid_token"

        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            sub = client.new_subscription("channel", get_token=invalid)
            unsubscribed = self.once(sub.events, "on_unsubscribed")
            await sub.subscribe()
            self.assertEqual((await self.soon(unsubscribed)).code, 103)
            self.assertEqual(client.state, ClientState.CONNECTED)

        await self.on_both_wires(case)


class TestSubscriptionTokenUnauthorized(Case):
    async def test_unauthorized_subscription_token(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            sub = client.new_subscription(unique("unauthorized"), get_token=refuse)
            unsubscribed = self.once(sub.events, "on_unsubscribed")
            await sub.subscribe()
            self.assertEqual((await self.soon(unsubscribed)).code, 1)
            self.assertEqual(sub.state, SubscriptionState.UNSUBSCRIBED)
            self.assertEqual(client.state, ClientState.CONNECTED)

        await self.on_both_wires(case)


class TestServerSideSubscriptions(Case):
    async def test_server_side_subs(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf)
            subscribed = self.once(client.events, "on_subscribed")
            publication = self.once(client.events, "on_publication")
            joined = self.once(client.events, "on_join")
            await client.connect()
            self.assertEqual((await self.soon(subscribed)).channel, "#42")
            self.assertTrue((await self.soon(joined)).info.client)
            data = payload({"input": "test"}, use_protobuf)
            await client.publish("#42", data)
            heard = await self.soon(publication)
            self.assertEqual((heard.channel, heard.pub.data), ("#42", data))

        await self.on_both_wires(case)


class TestConnectedContext(Case):
    async def test_connected_context_has_client_and_version(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf)
            connected = self.once(client.events, "on_connected")
            await client.connect()
            context = await self.soon(connected)
            self.assertTrue(context.client)
            self.assertTrue(context.version)

        await self.on_both_wires(case)


class TestConnectingDisconnectedCallbacks(Case):
    async def test_connecting_and_disconnected_callbacks(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = self.client(use_protobuf=use_protobuf)
            events = [self.once(client.events, name) for name in ("on_connecting", "on_disconnected")]
            await client.connect()
            await client.ready(DEADLINE)
            await client.disconnect()
            for event in events:
                context = await self.soon(event)
                self.assertIsInstance(context.code, int)
                self.assertTrue(context.reason)

        await self.on_both_wires(case)


class TestSubscribingSubscribedCallbacks(Case):
    async def test_subscribing_and_subscribed_callbacks(self) -> None:
        async def case(use_protobuf: bool) -> None:
            client = await self.connected(use_protobuf=use_protobuf)
            channel = unique("callbacks")
            sub = client.new_subscription(channel, get_token=subscription_token)
            subscribing, subscribed = (self.once(sub.events, name) for name in ("on_subscribing", "on_subscribed"))
            await sub.subscribe()
            self.assertTrue((await self.soon(subscribing)).reason)
            self.assertEqual((await self.soon(subscribed)).channel, channel)

        await self.on_both_wires(case)


def main() -> None:
    # Under this name, too: the cases that import from here must not get a second copy of URL.
    sys.modules["official"] = sys.modules["__main__"]
    global URL
    URL = sys.argv.pop(1)
    import official_streams

    logging.getLogger("centrifuge").setLevel(logging.CRITICAL)
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromModule(module) for module in (sys.modules["official"], official_streams))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    # A case fails once, however many of its wires fail.
    wrong = {str(case).split(" [")[0].split(" (")[0] for case, _ in result.failures + result.errors}
    print(f"{result.testsRun - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
