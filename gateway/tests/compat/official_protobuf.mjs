// The cases of the official JavaScript client's own src/centrifuge.protobuf.test.ts (WebSocket),
// under their names, against the real gateway.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { State, SubscriptionState } from 'centrifuge';
import { Gateway } from './kit/gateway.mjs';
import { client, disconnectAll, next, protobufClient } from './kit/client.mjs';

const CONFIG = await readFile(new URL('./config/javascript.toml', import.meta.url), 'utf8');
const options = { timeout: 30_000 };

let gateway;
before(async () => (gateway = await Gateway.start(CONFIG)));
after(() => {
  disconnectAll();
  return gateway?.stop();
});

async function connected(c) {
  c.connect();
  await c.ready(5000);
  return c;
}

async function subscribed(sub) {
  sub.subscribe();
  await sub.ready(5000);
  return sub;
}

test('websocket (Protobuf): connects and disconnects', options, async () => {
  const c = await connected(protobufClient(gateway.websocket));
  assert.equal(c.state, State.Connected);
  const gone = next(c, 'disconnected');
  c.disconnect();
  assert.equal((await gone).code, 0);
  assert.equal(c.state, State.Disconnected);
});

test('websocket (Protobuf): subscribe and unsubscribe', options, async () => {
  const c = await connected(protobufClient(gateway.websocket));
  const sub = await subscribed(c.newSubscription('test'));
  assert.equal(sub.state, SubscriptionState.Subscribed);
  const unsubscribed = next(sub, 'unsubscribed');
  sub.unsubscribe();
  c.disconnect();
  assert.equal((await unsubscribed).code, 0);
  assert.deepEqual([sub.state, c.state], [SubscriptionState.Unsubscribed, State.Disconnected]);
});

test('websocket (Protobuf): publish and receive message', options, async () => {
  const c = await connected(protobufClient(gateway.websocket));
  const sub = await subscribed(c.newSubscription('test'));
  const publication = next(sub, 'publication');
  const data = new TextEncoder().encode(JSON.stringify({ my: 'data' }));
  await sub.publish(data);
  assert.deepEqual(new Uint8Array((await publication).data), data);
  c.disconnect();
});

test('websocket (Protobuf): subscribe and presence', options, async () => {
  const c = await connected(protobufClient(gateway.websocket));
  const sub = await subscribed(c.newSubscription('test'));
  assert.ok(Object.keys((await sub.presence()).clients).length > 0);
  const { numClients, numUsers } = await sub.presenceStats();
  assert.ok(numClients > 0 && numUsers > 0);
  c.disconnect();
});

// Not theirs: the two wires meet in one channel.
test('a JSON and a Protobuf client hear each other', options, async () => {
  const json = await connected(client(gateway.websocket));
  const protobuf = await connected(protobufClient(gateway.websocket));
  const [a, b] = [await subscribed(json.newSubscription('both')), await subscribed(protobuf.newSubscription('both'))];
  const heard = [next(a, 'publication'), next(b, 'publication')];
  await a.publish({ from: 'json' });
  const [atJson, atProtobuf] = await Promise.all(heard);
  assert.deepEqual(atJson.data, { from: 'json' });
  assert.equal(new TextDecoder().decode(atProtobuf.data), '{"from":"json"}');

  const answer = next(a, 'publication');
  await b.publish(new TextEncoder().encode('{\n  "from": "protobuf"\n}'));
  assert.deepEqual((await answer).data, { from: 'protobuf' });

  await assert.rejects(b.publish(new Uint8Array([0xff, 0x00])), { code: 107 });
  for (const c of [json, protobuf]) c.disconnect();
});
