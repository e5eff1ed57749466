"""PyPI's `cent` (Centrifugo's library for the server API), unchanged, against a gateway's API.

    api.py BASE_URL KEY        (or FANFARE_API_URL and FANFARE_API_KEY)

BASE_URL is the gateway's, without /api: http://127.0.0.1:8080. The default namespace must exist and no
namespace called `nobody`. Every method of the library that belongs to the open API is called: what is
built must work, what is not built must be refused with 108.

Prints 'N passed, N failed'; the exit code is 1 if one failed.
"""

import asyncio
import os
import sys
import traceback
import uuid

import cent
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
    # Defaults of options that are not built ask for nothing.
    client.publish(PublishRequest(channel=CHANNEL, data={}, idempotency_key="", delta=False, version=0))


def publish_excluding_a_client(client):
    client.publish(PublishRequest(channel=CHANNEL, data={}, exclude_client=str(uuid.uuid4())))
    refused(107, client.publish, PublishRequest(channel=CHANNEL, data={}, exclude_client="nobody"))


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
                ],
                parallel=parallel,
            )
        ).replies
        check(len(replies) == 7, f"replies: {replies!r}")
        check(len(replies[1].responses) == 1, f"of a broadcast: {replies[1]!r}")
        check(len(replies[5].nodes) >= 1, f"of info: {replies[5]!r}")


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


def options_not_built(client):
    refused(108, client.publish, PublishRequest(channel=CHANNEL, data={}, idempotency_key="k"))
    refused(108, client.publish, PublishRequest(channel=CHANNEL, data={}, delta=True))
    refused(108, client.broadcast, BroadcastRequest(channels=[CHANNEL], data={}, idempotency_key="k"))
    since = StreamPosition(offset=1, epoch="e")
    refused(108, client.subscribe, SubscribeRequest(user=USER, channel=CHANNEL, recover_since=since))
    override = ChannelOptionsOverride(presence=BoolValue(value=True))
    refused(108, client.subscribe, SubscribeRequest(user=USER, channel=CHANNEL, override=override))


def methods_not_built(client):
    refused(108, client.presence, PresenceRequest(channel=CHANNEL))
    refused(108, client.presence_stats, PresenceStatsRequest(channel=CHANNEL))
    refused(108, client.history, HistoryRequest(channel=CHANNEL, limit=10))
    refused(108, client.history_remove, HistoryRemoveRequest(channel=CHANNEL))


def methods_that_do_not_exist_here(client):
    # One of the library's calls for Centrifugo's commercial edition stands for all.
    try:
        client.block_user(cent.BlockUserRequest(user=USER))
    except CentTransportError as error:
        check(error.status_code == 404, f"status {error.status_code}")
    else:
        raise AssertionError("answered")


CASES = [
    publish,
    publish_every_kind_of_data,
    publish_with_options,
    publish_excluding_a_client,
    broadcast,
    subscribe,
    unsubscribe,
    disconnect,
    refresh,
    info,
    channels,
    batch,
    the_async_client,
    wrong_key,
    bad_requests,
    options_not_built,
    methods_not_built,
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
