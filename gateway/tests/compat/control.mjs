// Orders reach a user wherever they are: on another node, also one whose link was down meanwhile. And a
// node that goes down sends its clients to the other one.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import WebSocket from 'ws';
import { client, disconnectAll, next, token } from './kit/client.mjs';
import { API_KEY, Gateway, KEYS, eventually, run, sleep } from './kit/gateway.mjs';
import { Redis } from './kit/redis.mjs';
import { Relay } from './kit/relay.mjs';

const options = { timeout: 90_000 };
const FORCE_DISCONNECT = 3503;
const SERVER_UNSUBSCRIBE = 2000;

let redis;
let linkOfB;
let a;
let b;

const config = (port) => `${KEYS}
[broker]
url = "redis://127.0.0.1:${port}/0"
connect_timeout = "1s"
command_timeout = "1s"
heartbeat_interval = "1s"
[history]
replicated_timeout = "500ms"
[shutdown]
ready_delay = "1s"
drain = "500ms"
timeout = "15s"
[channel.default]
allow_subscribe_for_client = true
allow_publish_for_client = true
`;

before(async () => {
  redis = await Redis.start();
  linkOfB = await Relay.start(redis.port);
  a = await Gateway.start(config(redis.port), 'node A');
  b = await Gateway.start(config(linkOfB.port), 'node B');
});
after(async () => {
  await Promise.all([a, b].map((node) => node?.stop()));
  linkOfB?.stop();
  await redis?.kill();
});

// What each test has opened beside clients, ended after it whether it went well or not.
const open = [];
afterEach(() => {
  disconnectAll();
  open.splice(0).forEach((end) => end());
});

async function listener(endpoint, user, channel = 'news') {
  const c = client(endpoint, { token: token({ sub: user }), maxReconnectDelay: 500 });
  const sub = c.newSubscription(channel);
  sub.subscribe();
  c.connect();
  await sub.ready(10_000);
  return { c, sub };
}

test('disconnect reaches a user on the other node', options, async () => {
  const victim = await listener(b.websocket, 'banned');
  const bystander = await listener(b.websocket, 'innocent');
  const gone = next(victim.c, 'disconnected');
  await a.api('disconnect', { user: 'banned' });
  assert.equal((await gone).code, FORCE_DISCONNECT);
  assert.equal(bystander.c.state, 'connected');
});

// The official Java client's own tests ask for this.
test('disconnect with code 3000 is a line that goes dead', options, async () => {
  const victim = await listener(b.websocket, 'cut-off');
  const connecting = next(victim.c, 'connecting');
  await a.api('disconnect', { user: 'cut-off', disconnect: { code: 3000, reason: 'unheard' } });
  assert.equal((await connecting).code, 1); // the client's own: the transport has closed
  await victim.c.ready(10_000);
});

test('disconnect with a code of the application', options, async () => {
  const victim = await listener(b.websocket, 'banned');
  const gone = next(victim.c, 'disconnected');
  await a.api('disconnect', { user: 'banned', disconnect: { code: 4500, reason: 'go away' } });
  const { code, reason } = await gone;
  assert.deepEqual([code, reason], [4500, 'go away']);
});

test('unsubscribe reaches a user on the other node', options, async () => {
  const victim = await listener(b.websocket, 'muted');
  const unsubscribed = next(victim.sub, 'unsubscribed');
  await a.api('unsubscribe', { user: 'muted', channel: 'news' });
  assert.equal((await unsubscribed).code, SERVER_UNSUBSCRIBE);
  assert.equal(victim.c.state, 'connected');
});

test('disconnect reaches a user whose node was behind a black hole', options, async () => {
  const victim = await listener(b.websocket, 'banned');
  const bystander = await listener(b.websocket, 'innocent');
  const gone = next(victim.c, 'disconnected', { withinMs: 40_000 });
  linkOfB.blackHole();
  await a.api('disconnect', { user: 'banned' });
  // Long enough for node B to give the link up, so that the message itself is lost.
  await sleep(5_000);
  linkOfB.cut();
  linkOfB.heal();
  assert.equal((await gone).code, FORCE_DISCONNECT);
  assert.equal(bystander.c.state, 'connected');
});

test('unsubscribe reaches a user whose node was cut off', options, async () => {
  const victim = await listener(b.websocket, 'muted');
  const unsubscribed = next(victim.sub, 'unsubscribed', { withinMs: 40_000 });
  linkOfB.blackHole();
  linkOfB.cut();
  await a.api('unsubscribe', { user: 'muted', channel: 'news' });
  await sleep(1_000);
  linkOfB.cut();
  linkOfB.heal();
  assert.equal((await unsubscribed).code, SERVER_UNSUBSCRIBE);
  assert.equal(victim.c.state, 'connected');
});

test('an order is refused while Redis is down', options, async () => {
  linkOfB.blackHole();
  linkOfB.cut();
  await assert.rejects(b.api('disconnect', { user: 'banned' }), { code: 100 });
  linkOfB.cut();
  linkOfB.heal();
  await eventually('node B delivers again', () => b.api('disconnect', { user: 'nobody' }).then(() => true, () => false));
});

test('an order that was carried out is not carried out again after a cut', options, async () => {
  const before = await listener(b.websocket, 'forgiven');
  const gone = next(before.c, 'disconnected');
  await a.api('disconnect', { user: 'forgiven' });
  await gone;
  // Node B looks into the log when its link is back; the order is there, but it is an old one.
  linkOfB.cut();
  const { c, sub } = await listener(b.websocket, 'forgiven');
  const ended = [];
  c.on('disconnected', (context) => ended.push(context));
  let number = 0;
  await eventually('node B delivers again', async () => {
    const data = number++;
    const heard = next(sub, 'publication', { fits: (context) => context.data === data, withinMs: 300 });
    await a.api('publish', { channel: 'news', data });
    return heard.then(() => true, () => false);
  });
  assert.deepEqual([c.state, sub.state, ended], ['connected', 'subscribed', []]);
});

test('orders cannot be read by subscribing to their channel', options, async () => {
  const names = ['fanfare.control', 'fanfare/0/control', 'control', 'control-log', '__redis__'];
  const heard = [];
  for (const name of names) {
    const { sub } = await listener(b.websocket, 'curious', name);
    sub.on('publication', ({ data }) => heard.push(data));
  }
  const colon = client(b.websocket, { token: token({ sub: 'curious' }) });
  const refused = colon.newSubscription('fanfare:0:control');
  const unsubscribed = next(refused, 'unsubscribed');
  refused.subscribe();
  colon.connect();
  assert.equal((await unsubscribed).code, 102);
  const victim = await listener(b.websocket, 'banned');
  const gone = next(victim.c, 'disconnected');
  await a.api('disconnect', { user: 'banned' });
  await gone;
  assert.deepEqual(heard, []);
});

test('newlines in what the worker publishes do not reach clients', options, async () => {
  const { sub } = await listener(b.websocket, 'reader');
  const frames = [];
  const raw = new WebSocket(b.websocket);
  open.push(() => raw.close());
  raw.on('message', (frame) => frames.push(...frame.toString().split('\n')));
  raw.once('open', () => {
    raw.send(JSON.stringify({ id: 1, connect: { token: token({ sub: 'raw' }) } }));
    raw.send(JSON.stringify({ id: 2, subscribe: { channel: 'news' } }));
  });
  await eventually('the raw client is subscribed', () => frames.some((line) => line.startsWith('{"id":2')));
  const data = '{\n  "a": 1,\r\n  "b": "x\\ny"\n}\n';
  for (const to of [['--to', `redis://127.0.0.1:${redis.port}/0`], ['--to', a.url, '--api-key', API_KEY]]) {
    const heard = next(sub, 'publication');
    const before = frames.length;
    await run('FANFARE_WORKER', ['publish', ...to, '--channel', 'news', '--data', '-'], data);
    assert.deepEqual((await heard).data, { a: 1, b: 'x\ny' });
    await eventually('the raw client has it', () => frames.length > before);
    for (const line of frames.filter(Boolean)) JSON.parse(line);
  }
  await assert.rejects(
    run('FANFARE_WORKER', ['publish', '--to', `redis://127.0.0.1:${redis.port}/0`, '--channel', 'news', '--data', 'NaN']),
  );
});

// Last: it ends node A.
test('a node that goes down sends its clients to the other one', options, async () => {
  const balancer = await Relay.start(a.port);
  open.push(() => balancer.stop());
  const endpoint = `ws://127.0.0.1:${balancer.port}/connection/websocket`;
  const listeners = await Promise.all(Array.from({ length: 20 }, (_, i) => listener(endpoint, `guest${i}`)));
  const reasons = listeners.map(({ c }) => next(c, 'connecting', { withinMs: 20_000 }));
  balancer.targets = [b.port];
  const ready = async () => (await fetch(`http://127.0.0.1:${a.internalPort}/ready`)).status;
  assert.equal(await ready(), 200);
  const stopped = a.stop('SIGTERM');
  await eventually('node A says no', async () => (await ready()) === 503, 900);
  assert.deepEqual([...new Set((await Promise.all(reasons)).map(({ code }) => code))], [3001]);
  assert.deepEqual(await stopped, { code: 0, signal: null });
  await Promise.all(listeners.map(({ sub }) => sub.ready(20_000)));
  const heard = listeners.map(({ sub }) => next(sub, 'publication'));
  await b.api('publish', { channel: 'news', data: { after: 'the move' } });
  for (const { data } of await Promise.all(heard)) assert.deepEqual(data, { after: 'the move' });
});
