"""A chat over the balancer of docker-compose.yml, which is up already; a part of deploy/check/compose.

    compose_chat.py docker-compose          the words that call compose; FANFARE_PORT says where it listens

The clients speak the protocol by hand, as a person with a WebSocket tool would, and come back by themselves
when their connection ends. Prints a line for each step, and last: N passed, N failed.
"""
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

COMPOSE = sys.argv[1:]
ADDRESS = f"127.0.0.1:{os.environ.get('FANFARE_PORT', '8080')}"
API_KEY = os.environ.get("FANFARE_API_KEY", "demo-key-that-everybody-knows-change-me")
NAMES = ["anna", "ben", "cleo", "dan", "eva", "finn"]
# Generous: this is about what happens, not how fast.
PATIENCE = 60


class Refused(Exception):
    """The API answered with an error."""


def compose(*words):
    done = subprocess.run([*COMPOSE, *words], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def container(service):
    return compose("ps", "-q", service)


def gateway(*words):
    return compose("exec", "-T", "gateway-1", "fanfare-gateway", *words)


def api(method, body):
    request = urllib.request.Request(
        f"http://{ADDRESS}/api/{method}",
        json.dumps(body).encode(),
        {"X-API-Key": API_KEY, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"]


def nodes():
    """Gateways by name, as the one that answers knows them; none while none answers."""
    try:
        return {node["name"]: node for node in api("info", {})["nodes"]}
    except (urllib.error.URLError, OSError, Refused):
        return {}  # no gateway yet, or one that has no Redis yet


async def until(what, condition):
    """Waits for something that will come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        await asyncio.sleep(0.1)


class Client:
    """One person in the room `chat` who watches the ticker."""

    def __init__(self, name, token):
        self.name, self.token = name, token
        self.socket, self.ready = None, False
        self.heard, self.ticks, self.closes = [], 0, []
        self.task = asyncio.create_task(self.live())

    async def live(self):
        while True:
            try:
                async with connect(f"ws://{ADDRESS}/connection/websocket", open_timeout=10) as self.socket:
                    await self.talk()
            except ConnectionClosed as end:
                self.closes.append(end.rcvd.code if end.rcvd else 1006)
            except (OSError, InvalidHandshake, TimeoutError):
                pass  # the balancer has nobody for us right now
            self.ready = False
            await asyncio.sleep(0.3)

    async def talk(self):
        await self.say({"id": 1, "connect": {"token": self.token, "name": "compose-check"}})
        await self.say({"id": 2, "subscribe": {"channel": "chat"}})
        await self.say({"id": 3, "subscribe": {"channel": "ticker"}})
        async for message in self.socket:
            for line in message.splitlines():
                await self.listen(json.loads(line))
        # Closed with code 1000: nobody of ours does that.
        self.closes.append(1000)

    async def listen(self, event):
        if event == {}:
            await self.say({})
        elif "error" in event:
            raise AssertionError(f"{self.name}: {event}")
        elif event.get("id") == 3:
            self.ready = True
        elif "pub" in event.get("push", {}):
            push = event["push"]
            if push["channel"] == "chat":
                self.heard.append(push["pub"]["data"]["text"])
            else:
                self.ticks += 1

    async def say(self, command):
        await self.socket.send(json.dumps(command))

    async def publish(self, text):
        await self.say({"id": 9, "publish": {"channel": "chat", "data": {"text": text}}})


async def everyone_hears(clients, texts, what):
    await until(what, lambda: all(set(texts) <= set(client.heard) for client in clients))
    for client in clients:
        heard = [text for text in client.heard if text in texts]
        assert len(heard) == len(texts), f"{client.name} heard something twice: {heard}"


async def all_in(clients):
    await until("everyone is in the room", lambda: all(client.ready for client in clients))


class Steps:
    """The story, in order; a step needs those before it."""

    def __init__(self):
        self.clients = []

    async def three_gateways_join(self):
        await until("three gateways", lambda: len(nodes()) == 3)

    async def clients_spread(self):
        self.clients = [Client(name, gateway("token", "--user", name)) for name in NAMES]
        await all_in(self.clients)
        await until("clients on each gateway", lambda: all(node.get("num_clients", 0) for node in nodes().values()))

    async def everyone_talks_to_everyone(self):
        texts = [f"{client.name} says hello" for client in self.clients]
        await asyncio.gather(*(client.publish(text) for client, text in zip(self.clients, texts)))
        await everyone_hears(self.clients, texts, "six greetings")

    async def a_backend_reaches_everyone(self):
        api("publish", {"channel": "chat", "data": {"text": "from the API"}})
        data = '{"text":"from the worker"}'
        compose("exec", "-T", "worker", "fanfare-worker", "publish", "--to", "redis://redis:6379/0", "--channel", "chat", "--data", data)
        await everyone_hears(self.clients, ["from the API", "from the worker"], "what the backend said")

    async def the_ticker_ticks(self):
        await until("three ticks", lambda: all(client.ticks >= 3 for client in self.clients))

    async def a_gateway_is_killed(self):
        lost = nodes()["gateway-2"]["num_clients"]
        assert 0 < lost < len(self.clients), f"gateway-2 has {lost} clients"
        subprocess.run(["docker", "kill", container("gateway-2")], check=True, capture_output=True, timeout=60)
        await until("its clients notice", lambda: sum(len(client.closes) for client in self.clients) >= lost)
        await all_in(self.clients)
        closes = sum(len(client.closes) for client in self.clients)
        assert closes == lost, f"{lost} clients were on the gateway, {closes} lost a connection"
        await self.clients[0].publish("still here?")
        await everyone_hears(self.clients, ["still here?"], "the chat after the loss")

    async def it_comes_back(self):
        compose("up", "--detach", "--no-build", "gateway-2")
        await until("gateway-2 is back", lambda: len(nodes()) == 3)

    async def a_gateway_is_stopped(self):
        for client in self.clients:
            client.closes.clear()
        name = container("gateway-3")
        await asyncio.to_thread(compose, "stop", "gateway-3")
        code = subprocess.run(["docker", "inspect", "-f", "{{.State.ExitCode}}", name], check=True, text=True, capture_output=True, timeout=60).stdout
        assert code.strip() == "0", f"it ended with {code.strip()}: killed at the end of its time?"
        closes = [code for client in self.clients for code in client.closes]
        assert closes and set(closes) == {3001}, f"clients were told {closes}, not 3001 (come back)"
        await all_in(self.clients)
        await self.clients[-1].publish("and now?")
        await everyone_hears(self.clients, ["and now?"], "the chat after the stop")


async def main():
    steps = Steps()
    story = [getattr(steps, name) for name in vars(Steps) if not name.startswith("_")]
    passed = 0
    for step in story:
        name = step.__name__.replace("_", " ")
        try:
            await step()
        except Exception as why:
            print(f"FAIL  {name}: {type(why).__name__}: {why}", flush=True)
            break
        passed += 1
        print(f"ok    {name}", flush=True)
    print(f"{passed} passed, {len(story) - passed} failed")
    return 0 if passed == len(story) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
