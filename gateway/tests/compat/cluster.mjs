// Two nodes on one Redis, 200 official clients over both, 1,000 publications from 22 publishers at
// once: every steady client gets every publication exactly once and in the same order on both nodes,
// while a fifth of the clients comes and goes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { API_KEY, Gateway, KEYS } from './kit/gateway.mjs';
import { duplicates, isContiguous, outOfTurn } from './kit/order.mjs';
import { ApiPublisher, ClientPublisher, WorkerPublisher } from './kit/publishers.mjs';
import { Random, seed } from './kit/random.mjs';
import { Redis } from './kit/redis.mjs';
import { Swarm } from './kit/swarm.mjs';

const CHANNELS = ['hall', 'kitchen', 'garden', 'attic', 'cellar'];
const SWARMS = 4;
const [STEADY, RESTLESS] = [40, 10]; // of each swarm

let redis;
let nodes = [];
before(async () => {
  redis = await Redis.start();
  const config = `${KEYS}
[broker]
url = "redis://127.0.0.1:${redis.port}/0"
[channel.default]
allow_subscribe_for_client = true
allow_publish_for_client = true
`;
  nodes = await Promise.all([Gateway.start(config, 'node A'), Gateway.start(config, 'node B')]);
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis?.kill();
});

// Clients go to the nodes in turn.
const endpoints = (count) => Array.from({ length: count }, (_, i) => nodes[i % 2].websocket);

async function publishers(random) {
  const own = () => new Random(random.below(2 ** 31));
  const [a, b] = nodes;
  const redisUrl = `redis://127.0.0.1:${redis.port}/0`;
  const clients = Array.from({ length: 12 }, (_, i) =>
    new ClientPublisher(`client${i}`, CHANNELS, own(), 1 + random.below(20)).open(nodes[i % 2].websocket),
  );
  const api = Array.from({ length: 6 }, (_, i) =>
    new ApiPublisher(`api${i}`, CHANNELS, own(), 1 + random.below(20)).through(nodes[i % 2]),
  );
  const worker = [
    ['--to', redisUrl],
    ['--to', redisUrl],
    ['--to', a.url, '--api-key', API_KEY],
    ['--to', b.url, '--api-key', API_KEY],
  ].map((args, i) => new WorkerPublisher(`worker${i}`, CHANNELS, own(), 10).to(...args));
  return [
    ...(await Promise.all(clients)).map((publisher) => ({ publisher, count: 50 })),
    ...api.map((publisher) => ({ publisher, count: 60 })),
    ...worker.map((publisher) => ({ publisher, count: 10 })),
  ];
}

test('every steady subscriber gets every publication once and in one order', { timeout: 240_000 }, async () => {
  const random = new Random(seed());
  const swarms = await Promise.all(
    Array.from({ length: SWARMS }, (_, i) =>
      Swarm.start({
        name: `swarm${i}`,
        steady: endpoints(STEADY),
        restless: endpoints(RESTLESS),
        channels: CHANNELS,
        seed: random.below(2 ** 31),
      }),
    ),
  );
  const all = await publishers(random);
  assert.equal(all.length, 22);
  await Promise.all(all.map(({ publisher, count }) => publisher.publish(count)));

  const published = {};
  for (const { publisher } of all) {
    for (const [id, channel] of publisher.acknowledged) (published[channel] ??= []).push(id);
  }
  const expected = Object.fromEntries(Object.entries(published).map(([channel, ids]) => [channel, ids.length]));
  assert.equal(Object.values(expected).reduce((sum, n) => sum + n), 1000);
  const reports = await Promise.all(swarms.map((swarm) => swarm.finish(expected, 60_000)));
  await Promise.all(all.map(({ publisher }) => publisher.close()));
  swarms.forEach((swarm) => swarm.stop());

  let slices = 0;
  for (const channel of Object.keys(published)) {
    const seen = reports.flatMap(({ steady }) => steady).filter((entry) => entry.channel === channel);
    const listeners = seen.reduce((sum, { clients }) => sum + clients.length, 0);
    assert.equal(listeners, SWARMS * STEADY, `all steady clients reported on ${channel}`);
    const order = seen[0].sequence;
    for (const { sequence, clients } of seen) {
      assert.deepEqual(duplicates(sequence), [], `${clients[0]} got something twice in ${channel}`);
      assert.deepEqual([...sequence].sort(), [...published[channel]].sort(), `${clients[0]} got all of ${channel}`);
      assert.deepEqual(sequence, order, `${clients[0]} and ${seen[0].clients[0]} agree on ${channel}`);
    }
    assert.deepEqual(outOfTurn(order), [], `publishers' own order in ${channel}`);
    for (const { restless } of reports) {
      for (const { sequence, client } of restless.filter((slice) => slice.channel === channel)) {
        slices++;
        assert.ok(isContiguous(sequence, order), `${client} heard ${channel} without gaps while it listened`);
      }
    }
  }
  assert.ok(slices > SWARMS * RESTLESS, `the restless ones heard something: ${slices} slices`);
  for (const node of nodes) {
    assert.equal(await node.metric('fanfare_broker_gaps_total'), 0, `${node.name} had no gap`);
  }
  console.log(`1000 publications from ${all.length} publishers, ${SWARMS * (STEADY + RESTLESS)} clients, ${slices} slices`);
});
