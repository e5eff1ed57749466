"""The cases of the official Python client's own tests/test_client.py about history, recovery, presence
and getState, under their names. Started by official.py."""

import asyncio

from centrifuge import StreamPosition, SubscriptionState, codes
from official import DEADLINE, DELTAS, Case, payload, subscription_token, unique

BEGINNING = StreamPosition(offset=0, epoch="")
QUICKLY = {"min_resubscribe_delay": 0.05, "max_resubscribe_delay": 0.05}


class StreamCase(Case):
    async def subscribed(self, channel: str, use_protobuf: bool = False, **options):
        """A client of its own on a channel."""
        client = await self.connected(use_protobuf=use_protobuf)
        sub = client.new_subscription(channel, get_token=subscription_token, **options)
        await sub.subscribe()
        await sub.ready(DEADLINE)
        return client, sub

    def queue(self, events, name: str, value=lambda context: context) -> asyncio.Queue:
        """What each of these events brings."""
        queue: asyncio.Queue = asyncio.Queue()

        async def handler(context) -> None:
            await queue.put(value(context))

        setattr(events, name, handler)
        return queue

    async def take(self, queue: asyncio.Queue, count: int = 1) -> list:
        return [await asyncio.wait_for(queue.get(), DEADLINE) for _ in range(count)]

    def heard(self, sub) -> asyncio.Queue:
        return self.queue(sub.events, "on_publication", lambda context: context.pub.data)


class TestSubscriptionOperations(StreamCase):
    async def test_subscription_operations(self) -> None:
        async def case(use_protobuf: bool) -> None:
            _, sub = await self.subscribed(unique("operations"), use_protobuf)
            await sub.publish(data=payload({"input": "test"}, use_protobuf))
            history = await sub.history(limit=-1)
            self.assertEqual((history.offset, len(history.publications)), (1, 1))
            self.assertTrue(history.epoch)
            self.assertEqual(len((await sub.presence()).clients), 1)
            stats = await sub.presence_stats()
            self.assertEqual((stats.num_clients, stats.num_users), (1, 1))

        await self.on_both_wires(case)


class TestClientLevelOperations(StreamCase):
    async def test_client_publish_history_presence(self) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("operations")
            client, _ = await self.subscribed(channel, use_protobuf)
            data = payload({"input": "client level test"}, use_protobuf)
            await client.publish(channel, data)
            history = await client.history(channel, limit=-1)
            self.assertEqual([publication.data for publication in history.publications], [data])
            self.assertEqual(history.offset, 1)
            self.assertTrue(history.epoch)
            self.assertEqual(len((await client.presence(channel)).clients), 1)
            stats = await client.presence_stats(channel)
            self.assertEqual((stats.num_clients, stats.num_users), (1, 1))

        await self.on_both_wires(case)


class TestHistoryPagination(StreamCase):
    async def test_history_since_and_reverse(self) -> None:
        async def case(use_protobuf: bool) -> None:
            _, sub = await self.subscribed(unique("pages"), use_protobuf)
            for i in range(5):
                await sub.publish(data=payload({"msg": i}, use_protobuf))

            async def offsets(**query) -> list:
                return [publication.offset for publication in (await sub.history(**query)).publications]

            self.assertEqual(await offsets(limit=-1), [1, 2, 3, 4, 5])
            first = await sub.history(limit=2)
            self.assertEqual([publication.offset for publication in first.publications], [1, 2])
            since = StreamPosition(offset=2, epoch=first.epoch)
            self.assertEqual(await offsets(limit=2, since=since), [3, 4])
            self.assertEqual(await offsets(limit=-1, reverse=True), [5, 4, 3, 2, 1])

        await self.on_both_wires(case)


class TestJoinLeave(StreamCase):
    async def test_join_leave(self) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("join_leave")
            watcher = await self.connected(use_protobuf=use_protobuf)
            sub = watcher.new_subscription(channel, get_token=subscription_token)
            joins = self.queue(sub.events, "on_join", lambda context: context.info.client)
            leaves = self.queue(sub.events, "on_leave", lambda context: context.info.client)
            await sub.subscribe()
            await sub.ready(DEADLINE)
            _, visit = await self.subscribed(channel, use_protobuf)
            own, visitor = await self.take(joins, 2)
            self.assertNotEqual(own, visitor)
            await visit.unsubscribe()
            self.assertEqual(await self.take(leaves), [visitor])

        await self.on_both_wires(case)


class TestPresenceTwoClients(StreamCase):
    async def test_presence_two_clients(self) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("presence")
            _, one = await self.subscribed(channel, use_protobuf)
            await self.subscribed(channel, use_protobuf)
            self.assertEqual(len((await one.presence()).clients), 2)
            self.assertEqual((await one.presence_stats()).num_clients, 2)

        await self.on_both_wires(case)


class TestAutoRecovery(StreamCase):
    async def test_auto_recovery(self) -> None:
        for delta in DELTAS:
            with self.subTest(delta=delta):
                await self.recovery(delta)

    async def recovery(self, delta) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("recovery")
            client, sub = await self.subscribed(channel, use_protobuf, delta=delta)
            _, speaker = await self.subscribed(channel, use_protobuf, delta=delta)
            await client.disconnect()
            said = [payload({"input": f"message number {i}, like the others"}, use_protobuf) for i in range(10)]
            for data in said:
                await speaker.publish(data=data)
            subscribed = self.once(sub.events, "on_subscribed")
            heard = self.heard(sub)
            await client.connect()
            context = await self.soon(subscribed)
            self.assertTrue(context.recovered)
            self.assertTrue(context.was_recovering)
            self.assertEqual(await self.take(heard, len(said)), said)

        await self.on_both_wires(case)


class TestRecoveryAfterUnsubscribeResubscribe(StreamCase):
    async def test_recovery_after_unsub_resub(self) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("recovery")
            _, sub = await self.subscribed(channel, use_protobuf)
            _, speaker = await self.subscribed(channel, use_protobuf)
            heard = self.heard(sub)
            before, during = (payload({"msg": when}, use_protobuf) for when in ("before", "during"))
            await speaker.publish(data=before)
            self.assertEqual(await self.take(heard), [before])
            await sub.unsubscribe()
            await speaker.publish(data=during)
            subscribed = self.once(sub.events, "on_subscribed")
            await sub.subscribe()
            self.assertTrue((await self.soon(subscribed)).recovered)
            self.assertEqual(await self.take(heard), [during])

        await self.on_both_wires(case)


class GetState:
    """Answers from a function of the number of the call."""

    def __init__(self, answer) -> None:
        self.calls = 0
        self.answer = answer

    async def __call__(self, _channel: str) -> StreamPosition:
        self.calls += 1
        return await self.answer(self.calls)


async def beginning(_call: int) -> StreamPosition:
    return BEGINNING


class TestGetState(StreamCase):
    async def prepared(self, channel: str, get_state: GetState, use_protobuf: bool = False):
        client = await self.connected(use_protobuf=use_protobuf)
        sub = client.new_subscription(channel, get_token=subscription_token, get_state=get_state, **QUICKLY)
        return client, sub

    async def test_get_state_called_on_initial_subscribe(self) -> None:
        async def case(use_protobuf: bool) -> None:
            channel = unique("get_state")
            _, speaker = await self.subscribed(channel, use_protobuf)
            said = [payload({"i": i}, use_protobuf) for i in range(3)]
            for data in said:
                await speaker.publish(data=data)
            get_state = GetState(beginning)
            _, sub = await self.prepared(channel, get_state, use_protobuf)
            heard = self.heard(sub)
            await sub.subscribe()
            self.assertEqual(await self.take(heard, 3), said)
            self.assertEqual(get_state.calls, 1)

        await self.on_both_wires(case)

    async def test_get_state_not_called_when_recovery_succeeds(self) -> None:
        channel = unique("get_state")
        _, speaker = await self.subscribed(channel)
        get_state = GetState(beginning)
        client, sub = await self.prepared(channel, get_state)
        subscribed, heard = self.queue(sub.events, "on_subscribed"), self.heard(sub)
        await sub.subscribe()
        await self.take(subscribed)
        await client.disconnect()
        for i in range(2):
            await speaker.publish(data={"i": i})
        await client.connect()
        self.assertTrue((await self.take(subscribed))[0].recovered)
        self.assertEqual(await self.take(heard, 2), [{"i": 0}, {"i": 1}])
        self.assertEqual(get_state.calls, 1)

    async def test_get_state_error_retried(self) -> None:
        async def answer(call: int) -> StreamPosition:
            if call == 1:
                raise RuntimeError("the database is away")
            return BEGINNING

        get_state = GetState(answer)
        _, sub = await self.prepared(unique("get_state"), get_state)
        subscribed, failed = self.once(sub.events, "on_subscribed"), self.once(sub.events, "on_error")
        await sub.subscribe()
        await self.soon(subscribed)
        self.assertEqual(get_state.calls, 2)
        error = await self.soon(failed)
        self.assertEqual(error.code, codes._ErrorCode.SUBSCRIPTION_GET_STATE.value)
        self.assertIn("the database is away", str(error.error))

    async def test_get_state_persistent_failure_keeps_retrying(self) -> None:
        called: asyncio.Queue = asyncio.Queue()

        async def answer(call: int) -> StreamPosition:
            await called.put(call)
            raise RuntimeError("always")

        _, sub = await self.prepared(unique("get_state"), GetState(answer))
        await sub.subscribe()
        self.assertEqual(await self.take(called, 4), [1, 2, 3, 4])
        self.assertEqual(sub.state, SubscriptionState.SUBSCRIBING)
        await sub.unsubscribe()

    async def test_get_state_called_again_on_unrecoverable_position(self) -> None:
        channel = unique("smallhistory:get_state")
        _, speaker = await self.subscribed(channel)

        async def answer(_call: int) -> StreamPosition:
            history = await speaker.history(limit=0)
            return StreamPosition(offset=history.offset, epoch=history.epoch)

        get_state = GetState(answer)
        client, sub = await self.prepared(channel, get_state)
        subscribed, heard = self.queue(sub.events, "on_subscribed"), self.heard(sub)
        await sub.subscribe()
        await self.take(subscribed)
        self.assertEqual(get_state.calls, 1)
        await client.disconnect()
        for i in range(5):
            await speaker.publish(data={"i": i})
        await client.connect()
        await self.take(subscribed)
        self.assertEqual(get_state.calls, 2)
        await speaker.publish(data={"live": True})
        self.assertEqual(await self.take(heard), [{"live": True}])
