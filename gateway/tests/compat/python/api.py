"""PyPI's `cent` (Centrifugo's library for the server API), unchanged, against a gateway's API.

    api.py BASE_URL KEY        (or FANFARE_API_URL and FANFARE_API_KEY)

BASE_URL is the gateway's, without /api: http://127.0.0.1:8080. The default namespace must exist without
history and presence, `kept` with both (10 publications), `keptbin` with a history of bytes, and no namespace
called `nobody`: see config/api.toml. Every method of the library that belongs to the open API is called: what is
built must work, what is not built must be refused with 108.

Prints 'N passed, N failed'; the exit code is 1 if one failed.
"""

import asyncio
import os
import sys
import time
import traceback
import uuid

import cent
import centrifuge
from cent import (
    AsyncClient,
    BatchRequest,
    BoolValue,
    BroadcastRequest,
    CentApiResponseError,
    CentTransportError,
    CentUnauthorizedError,
    ChannelOptionsOverride,
    ChannelsRequest,
    Client,
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)

URL = ""
KEY = ""
CHANNEL = "cent-" + uuid.uuid4().hex
KEPT_MAX = 10
DEADLINE = 10
USER = "cent-user-" + uuid.uuid4().hex


def check(holds, what):
    # Not `assert`: this must also hold under `python -O`.
    if not holds:
        raise AssertionError(what)


def refused(code, call, *arguments):
    """The call must be refused with this code."""
    try:
        result = call(*arguments)
    except CentApiResponseError as error:
        check(error.code == code, f"refused with {error.code} ({error.message}), not {code}")
        check(error.message, "a refusal must say why")
    else:
        raise AssertionError(f"answered {result!r}, not refused with {code}")


def new_channel(namespace="kept"):
    return f"{namespace}:{uuid.uuid4().hex}"


def data_of(history):
    return [publication.data for publication in history.publications]


# ---- what works


def publish(client):
    result = client.publish(PublishRequest(channel=CHANNEL, data={"text": "hi"}))
    check((result.offset, result.epoch) == (0, ""), f"a place in a stream without history: {result!r}")


def publish_every_kind_of_data(client):
    for data in ({}, [], "text", "", 0, 1.5, True, {"deep": [{"er": [None]}]}, "line\nbreak", "\u2028 \U0001f389"):
        client.publish(PublishRequest(channel=CHANNEL, data=data))


def publish_with_options(client):
    client.publish(PublishRequest(channel=CHANNEL, data={}, tags={"k": "v"}, skip_history=True))
    client.publish(PublishRequest(channel=CHANNEL, data=None, b64data="eyJhIjoxfQ=="))
    # Defaults ask for nothing.
    client.publish(PublishRequest(channel=CHANNEL, data={}, idempotency_key="", delta=False, version=0))


def publish_excluding_a_client(client):
    client.publish(PublishRequest(channel=CHANNEL, data={}, exclude_client=str(uuid.uuid4())))
    refused(107, client.publish, PublishRequest(channel=CHANNEL, data={}, exclude_client="nobody"))


def publish_once(client):
    for channel in (new_channel(), CHANNEL):
        key = "order " + uuid.uuid4().hex
        first = client.publish(PublishRequest(channel=channel, data={"n": 1}, idempotency_key=key))
        # Whatever it holds: the key names the publication.
        for again in ({"n": 1}, {"other": True}):
            repeated = client.publish(PublishRequest(channel=channel, data=again, idempotency_key=key))
            check(repeated == first, f"{repeated!r} is not {first!r}")
        other = client.publish(PublishRequest(channel=channel, data={"n": 2}, idempotency_key=key + "2"))
        check(channel == CHANNEL or (first.offset, other.offset) == (1, 2), f"{first!r}, {other!r}")


def broadcast_once(client):
    channels = [new_channel(), new_channel()]
    key = uuid.uuid4().hex
    # It counts for each channel by itself.
    first = client.broadcast(BroadcastRequest(channels=channels[:1], data={"n": 1}, idempotency_key=key))
    both = client.broadcast(BroadcastRequest(channels=channels, data={"n": 2}, idempotency_key=key))
    check(both.responses[0] == first.responses[0], f"{both!r}, {first!r}")
    check([answer.result.offset for answer in both.responses] == [1, 1], f"{both!r}")
    check(data_of(client.history(HistoryRequest(channel=channels[0], limit=5))) == [{"n": 1}], "published twice")
    check(data_of(client.history(HistoryRequest(channel=channels[1], limit=5))) == [{"n": 2}], "not published")


def publish_by_version(client):
    channel = new_channel()
    for version, epoch, offset in ((5, "a", 1), (4, "a", 1), (5, "a", 1), (6, "a", 2), (1, "b", 3)):
        # Newer than the library, which passes on what it does not know.
        request = PublishRequest(channel=channel, data={"v": version}, version=version, version_epoch=epoch)
        result = client.publish(request)
        check(result.offset == offset, f"version {version} of {epoch}: {result!r}")
    check(data_of(client.history(HistoryRequest(channel=channel, limit=5))) == [{"v": 5}, {"v": 6}, {"v": 1}], "stale")


def publish_with_an_ack_level(client):
    result = client.publish(PublishRequest(channel=new_channel(), data={}, ack="stored"))
    check(result.offset == 1, f"{result!r}")


def history(client):
    channel = new_channel()
    empty = client.history(HistoryRequest(channel=channel, limit=-1))
    check((empty.publications, empty.offset) == ([], 0) and empty.epoch, f"{empty!r}")
    said = [{"n": 1}, None, "text", [1, 1.5]]
    for n, data in enumerate(said, 1):
        # The library leaves out what is None.
        payload = {"data": data, "b64data": None if data is not None else "bnVsbA=="}
        result = client.publish(PublishRequest(channel=channel, tags={"n": str(n)}, **payload))
        check((result.offset, result.epoch) == (n, empty.epoch), f"{result!r}")

    whole = client.history(HistoryRequest(channel=channel, limit=-1))
    check(data_of(whole) == said, f"{whole!r}")
    check([publication.offset for publication in whole.publications] == [1, 2, 3, 4], f"{whole!r}")
    tags = [publication.tags for publication in whole.publications]
    check(tags == [{"n": str(n)} for n in range(1, 5)], f"{whole!r}")
    check(all(publication.info is None for publication in whole.publications), "a backend is no client")
    check((whole.offset, whole.epoch) == (4, empty.epoch), f"{whole!r}")

    top = client.history(HistoryRequest(channel=channel))
    check((top.publications, top.offset, top.epoch) == ([], 4, empty.epoch), f"more than the position: {top!r}")
    since = StreamPosition(offset=2, epoch=whole.epoch)
    after = client.history(HistoryRequest(channel=channel, limit=10, since=since))
    check(data_of(after) == said[2:], f"{after!r}")
    before = client.history(HistoryRequest(channel=channel, limit=10, since=since, reverse=True))
    check(data_of(before) == said[:1], f"{before!r}")
    newest = client.history(HistoryRequest(channel=channel, limit=2, reverse=True))
    check(data_of(newest) == [said[3], said[2]], f"{newest!r}")
    refused(112, client.history, HistoryRequest(channel=channel, limit=1, since=StreamPosition(offset=1, epoch="x")))
    refused(107, client.history, HistoryRequest(channel=channel, limit=-2))


def history_is_bounded(client):
    channel = new_channel()
    for n in range(KEPT_MAX + 5):
        client.publish(PublishRequest(channel=channel, data={"n": n}))
    kept = client.history(HistoryRequest(channel=channel, limit=-1))
    check(data_of(kept) == [{"n": n} for n in range(5, KEPT_MAX + 5)], f"{kept!r}")
    client.publish(PublishRequest(channel=channel, data={"n": -1}, skip_history=True))
    check(client.history(HistoryRequest(channel=channel)).offset == KEPT_MAX + 5, "what was skipped was counted")


def history_of_bytes(client):
    channel = new_channel("keptbin")
    client.publish(PublishRequest(channel=channel, data=None, b64data="/wD+"))
    (publication,) = client.history(HistoryRequest(channel=channel, limit=1)).publications
    check((publication.data, publication.b64data) == (None, "/wD+"), f"{publication!r}")


def history_remove(client):
    channel = new_channel()
    first = client.publish(PublishRequest(channel=channel, data={"n": 1}))
    client.history_remove(HistoryRemoveRequest(channel=channel))
    left = client.history(HistoryRequest(channel=channel, limit=-1))
    check((left.publications, left.offset, left.epoch) == ([], 1, first.epoch), f"{left!r}")
    second = client.publish(PublishRequest(channel=channel, data={"n": 2}))
    check((second.offset, second.epoch) == (2, first.epoch), f"numbering must go on: {second!r}")
    client.history_remove(HistoryRemoveRequest(channel=new_channel()))


def presence_of_nobody(client):
    channel = new_channel()
    check(client.presence(PresenceRequest(channel=channel)).presence == {}, "somebody is there")
    stats = client.presence_stats(PresenceStatsRequest(channel=channel))
    check((stats.num_clients, stats.num_users) == (0, 0), f"{stats!r}")


def presence(client):
    """Of two clients of the official library; the gateway must be insecure, so that they may subscribe."""
    channel = new_channel()

    async def calls():
        clients = [centrifuge.Client(URL.replace("http", "ws", 1) + "/connection/websocket") for _ in range(2)]
        try:
            ids = set()
            for realtime in clients:
                await realtime.connect()
                await realtime.ready(DEADLINE)
                ids.add(realtime.client_id)
                subscription = realtime.new_subscription(channel)
                await subscription.subscribe()
                await subscription.ready(DEADLINE)
            listed = await asyncio.to_thread(client.presence, PresenceRequest(channel=channel))
            stats = await asyncio.to_thread(client.presence_stats, PresenceStatsRequest(channel=channel))
        finally:
            for realtime in clients:
                await realtime.disconnect()
        check(set(listed.presence) == ids, f"{listed!r} is not {ids!r}")
        for id, info in listed.presence.items():
            check((info.client, info.user) == (id, ""), f"{info!r}")
        check((stats.num_clients, stats.num_users) == (2, 1), f"anonymous clients are one user: {stats!r}")

    asyncio.run(calls())
    deadline = time.monotonic() + DEADLINE
    while client.presence_stats(PresenceStatsRequest(channel=channel)).num_clients:
        check(time.monotonic() < deadline, "they never leave")
        time.sleep(0.05)


def broadcast(client):
    result = client.broadcast(BroadcastRequest(channels=[CHANNEL, "nobody:1", CHANNEL + "2"], data={"a": 1}))
    check(len(result.responses) == 3, f"answers: {result!r}")
    first, second, third = result.responses
    check(first.error is None and third.error is None, f"refused: {result!r}")
    check(second.error is not None and second.error.code == 102, f"not refused: {second!r}")


def subscribe(client):
    client.subscribe(SubscribeRequest(user=USER, channel=CHANNEL))
    client.subscribe(
        SubscribeRequest(
            user=USER,
            channel=CHANNEL,
            client=str(uuid.uuid4()),
            session=str(uuid.uuid4()),
            info={"role": "guest"},
            data={"welcome": True},
        )
    )
    client.subscribe(SubscribeRequest(user=USER, channel=CHANNEL, b64info="e30=", b64data="e30="))
    since = StreamPosition(offset=1, epoch="e")
    client.subscribe(SubscribeRequest(user=USER, channel=new_channel(), recover_since=since))


def unsubscribe(client):
    client.unsubscribe(UnsubscribeRequest(user=USER, channel=CHANNEL))
    client.unsubscribe(UnsubscribeRequest(user=USER, channel=CHANNEL, client=str(uuid.uuid4())))


def disconnect(client):
    client.disconnect(DisconnectRequest(user=USER))
    client.disconnect(DisconnectRequest(user=USER, disconnect=Disconnect()))
    client.disconnect(
        DisconnectRequest(
            user=USER,
            client=str(uuid.uuid4()),
            whitelist=[str(uuid.uuid4())],
            disconnect=Disconnect(code=4500, reason="banned"),
        )
    )


def refresh(client):
    client.refresh(RefreshRequest(user=USER, expire_at=4_000_000_000))
    client.refresh(RefreshRequest(user=USER, expired=True))


def info(client):
    nodes = client.info(InfoRequest()).nodes
    check(nodes, "no node")
    check(all(node.uid and node.name and node.version for node in nodes), f"nameless: {nodes!r}")


def channels(client):
    client.channels(ChannelsRequest())
    found = client.channels(ChannelsRequest(pattern="nobody-is-on-such-a-channel-*")).channels
    check(isinstance(found, dict), f"{found!r}")


def batch(client):
    for parallel in (False, True):
        replies = client.batch(
            BatchRequest(
                requests=[
                    PublishRequest(channel=CHANNEL, data={"n": 1}),
                    BroadcastRequest(channels=[CHANNEL], data={"n": 2}),
                    SubscribeRequest(user=USER, channel=CHANNEL),
                    UnsubscribeRequest(user=USER, channel=CHANNEL),
                    DisconnectRequest(user=USER),
                    InfoRequest(),
                    ChannelsRequest(),
                    HistoryRequest(channel=new_channel(), limit=1),
                    HistoryRemoveRequest(channel=new_channel()),
                    PresenceRequest(channel=new_channel()),
                    PresenceStatsRequest(channel=new_channel()),
                ],
                parallel=parallel,
            )
        ).replies
        check(len(replies) == 11, f"replies: {replies!r}")
        check(len(replies[1].responses) == 1, f"of a broadcast: {replies[1]!r}")
        check(len(replies[5].nodes) >= 1, f"of info: {replies[5]!r}")
        check(replies[7].epoch and replies[7].offset == 0, f"of history: {replies[7]!r}")
        check(replies[9].presence == {}, f"of presence: {replies[9]!r}")


def the_async_client(_client):
    async def calls():
        client = AsyncClient(f"{URL}/api", KEY)
        try:
            await client.publish(PublishRequest(channel=CHANNEL, data={"async": True}))
            results = await asyncio.gather(
                *(client.publish(PublishRequest(channel=CHANNEL, data={"n": n})) for n in range(50))
            )
            check(len(results) == 50, "lost answers")
            check((await client.info(InfoRequest())).nodes, "no node")
        finally:
            await client.close()

    asyncio.run(calls())


# ---- what is refused


def wrong_key(_client):
    for key in ("wrong", KEY + "x", KEY[:-1]):
        client = Client(f"{URL}/api", key)
        try:
            client.info(InfoRequest())
        except CentUnauthorizedError:
            continue
        finally:
            client.close()
        raise AssertionError(f"let in with {len(key)} characters")


def bad_requests(client):
    refused(107, client.publish, PublishRequest(channel="", data={}))
    refused(107, client.publish, PublishRequest(channel="a b", data={}))
    refused(102, client.publish, PublishRequest(channel="nobody:1", data={}))
    refused(107, client.broadcast, BroadcastRequest(channels=[], data={}))
    refused(107, client.subscribe, SubscribeRequest(user="", channel=CHANNEL))
    refused(107, client.unsubscribe, UnsubscribeRequest(user="", channel=CHANNEL))
    refused(107, client.disconnect, DisconnectRequest(user=""))
    refused(107, client.disconnect, DisconnectRequest(user=USER, disconnect=Disconnect(code=200, reason="x")))
    refused(107, client.refresh, RefreshRequest(user=""))
    for key in ("a\r\nb", "\u00e9", "k" * 129, "k" * 900_000):
        refused(107, client.publish, PublishRequest(channel=CHANNEL, data={}, idempotency_key=key))
    refused(107, client.publish, PublishRequest(channel=new_channel(), data={}, version_epoch="e"))
    refused(107, client.publish, PublishRequest(channel=CHANNEL, data={}, ack="soon"))


def what_the_channel_cannot_do(client):
    for channel in (CHANNEL, new_channel()):
        client.publish(PublishRequest(channel=channel, data={}, delta=True))
    refused(108, client.publish, PublishRequest(channel=CHANNEL, data={}, version=1))
    refused(108, client.publish, PublishRequest(channel=CHANNEL, data={}, ack="replicated"))
    refused(108, client.publish, PublishRequest(channel=new_channel(), data={}, ack="replicated", skip_history=True))
    since = StreamPosition(offset=1, epoch="e")
    refused(108, client.subscribe, SubscribeRequest(user=USER, channel=CHANNEL, recover_since=since))
    refused(108, client.presence, PresenceRequest(channel=CHANNEL))
    refused(108, client.presence_stats, PresenceStatsRequest(channel=CHANNEL))
    refused(108, client.history, HistoryRequest(channel=CHANNEL, limit=10))
    refused(108, client.history_remove, HistoryRemoveRequest(channel=CHANNEL))


def revocations(client):
    # Nobody else's name, and an end: the gateway goes on to serve other cases.
    end = int(time.time()) + 60
    client.revoke_token(cent.RevokeTokenRequest(uid="token-of-nobody", expire_at=end))
    client.invalidate_user_tokens(cent.InvalidateUserTokensRequest(user="nobody-at-all", expire_at=end))
    client.block_user(cent.BlockUserRequest(user="nobody-at-all", expire_at=end))
    client.unblock_user(cent.UnblockUserRequest(user="nobody-at-all"))
    refused(107, client.block_user, cent.BlockUserRequest(user=""))


def options_not_built(client):
    override = ChannelOptionsOverride(presence=BoolValue(value=True))
    refused(108, client.subscribe, SubscribeRequest(user=USER, channel=CHANNEL, override=override))


def methods_that_do_not_exist_here(client):
    # One of the library's calls for Centrifugo's commercial edition stands for all.
    try:
        client.delete_user_status(cent.DeleteUserStatusRequest(users=[USER]))
    except CentTransportError as error:
        check(error.status_code == 404, f"status {error.status_code}")
    else:
        raise AssertionError("answered")


CASES = [
    publish,
    publish_every_kind_of_data,
    publish_with_options,
    publish_excluding_a_client,
    publish_once,
    publish_by_version,
    publish_with_an_ack_level,
    broadcast,
    broadcast_once,
    history,
    history_is_bounded,
    history_of_bytes,
    history_remove,
    presence_of_nobody,
    presence,
    subscribe,
    unsubscribe,
    disconnect,
    refresh,
    revocations,
    info,
    channels,
    batch,
    the_async_client,
    wrong_key,
    bad_requests,
    what_the_channel_cannot_do,
    options_not_built,
    methods_that_do_not_exist_here,
]


def main():
    global URL, KEY
    given = sys.argv[1:] or [os.environ.get("FANFARE_API_URL", ""), os.environ.get("FANFARE_API_KEY", "")]
    if len(given) != 2 or not all(given):
        print(__doc__, file=sys.stderr)
        return 2
    URL, KEY = given[0].rstrip("/"), given[1]
    failed = 0
    client = Client(f"{URL}/api", KEY)
    for case in CASES:
        try:
            case(client)
        except Exception:
            failed += 1
            print(f"not ok  {case.__name__}")
            traceback.print_exc()
        else:
            print(f"ok      {case.__name__}")
    client.close()
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
