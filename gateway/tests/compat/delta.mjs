// The stream cases of the official JavaScript client's own src/delta.test.ts under their names, and more:
// payloads of all kinds, subscribers with and without deltas side by side, publishers that ask for them.
// The client counts what it is sent whole and what as a patch.

import assert from 'node:assert/strict';
import { collect, next } from './kit/client.mjs';
import { scenarios, subscribed, unique } from './kit/places.mjs';

const scenario = await scenarios(`
[[channel.namespace]]
name = "asked"
allowed_delta_types = ["fossil"]
force_recovery = true
history_size = 100
history_ttl = "300s"
[[channel.namespace]]
name = "whole"
force_recovery = true
history_size = 100
history_ttl = "300s"
`);

const FOSSIL = { delta: 'fossil' };
const FILLER = 'a'.repeat(500);

async function listener(scene, channel, options = FOSSIL, endpoint = undefined) {
  const c = await scene.connected({ minReconnectDelay: 1 }, endpoint);
  const sub = c.newSubscription(channel, options);
  const heard = [];
  sub.on('publication', ({ data }) => heard.push(scene.decode(data)));
  await subscribed(sub);
  return { c, sub, heard };
}

async function publishAll(scene, channel, payloads, more) {
  for (const payload of payloads) await scene.publish(channel, payload, more);
}

async function hears({ sub, heard }, payloads, act) {
  const all = collect(sub, 'publication', payloads.length);
  heard.length = 0;
  await act();
  await all;
  assert.deepEqual(heard, payloads);
}

const counts = (sub) => {
  const { numPublications, numFullPayloads, numDeltaPayloads } = sub.deltaStats();
  assert.equal(numPublications, numFullPayloads + numDeltaPayloads);
  return { full: numFullPayloads, patches: numDeltaPayloads };
};

scenario('stream delta: successive publications decoded correctly', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const payloads = [
    { counter: 1, payload: FILLER },
    { counter: 2, payload: FILLER },
    { counter: 3, payload: `${FILLER.slice(0, -1)}b` },
  ];
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  assert.deepEqual(counts(one.sub), { full: 1, patches: 2 });
  const { bytesReceived, bytesDecoded, compressionRatio } = one.sub.deltaStats();
  assert.ok(bytesReceived < bytesDecoded);
  assert.ok(compressionRatio > 0);
  one.c.disconnect();
});

scenario('stream delta: recovery after disconnect', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const first = { step: 1, value: 'hello world' };
  await hears(one, [first], () => scene.publish(channel, first));
  const disconnected = next(one.c, 'disconnected');
  one.c.disconnect();
  await disconnected;
  const missed = [{ step: 2, value: 'hello world!' }, { step: 3, value: 'hello earth!' }];
  await publishAll(scene, channel, missed);
  const back = next(one.sub, 'subscribed');
  await hears(one, missed, () => one.c.connect());
  assert.equal((await back).recovered, true);
  const live = { step: 4, value: 'hello earth!!' };
  await hears(one, [live], () => scene.publish(channel, live));
  one.c.disconnect();
});

scenario('stream delta: recovery after unsubscribe/resubscribe', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const first = { n: 1, text: 'base message content' };
  await hears(one, [first], () => scene.publish(channel, first));
  one.sub.unsubscribe();
  const missed = [
    { n: 2, text: 'base message content updated' },
    { n: 3, text: 'base message content updated again' },
  ];
  await publishAll(scene, channel, missed);
  const back = next(one.sub, 'subscribed');
  await hears(one, missed, () => one.sub.subscribe());
  assert.equal((await back).recovered, true);
  one.c.disconnect();
});

scenario('stream delta: many publications with small diffs', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 10 }, (_, index) => ({ index, padding: 'x'.repeat(500) }));
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  assert.deepEqual(counts(one.sub), { full: 1, patches: 9 });
  one.c.disconnect();
});

// From here on ours.

scenario('payloads of every kind', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const long = '"quoted", \\ back, \u2028 line, é, \u{1f389}, \u0001 '.repeat(20);
  const payloads = [
    long,
    `${long}!`,
    [long, long],
    [long, null],
    { deep: [{ er: [long] }] },
    { deep: [{ er: [`${long}?`] }] },
    1.5,
    true,
    null,
    'short',
    {},
    [],
    '',
  ];
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  one.c.disconnect();
});

scenario('the same again is a patch, something else is whole', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  // Nothing of the one helps to write the other.
  const noise = Array.from({ length: 60 }, (_, i) => Math.sin(i + 1).toString(36).slice(3)).join('');
  const payloads = [{ FILLER }, { FILLER }, noise, noise];
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  assert.deepEqual(counts(one.sub), { full: 2, patches: 2 });
  one.c.disconnect();
});

scenario('with and without deltas side by side', async (scene) => {
  const channel = unique('delta');
  const [patched, whole] = [await listener(scene, channel), await listener(scene, channel, {})];
  const payloads = Array.from({ length: 5 }, (_, index) => ({ index, FILLER }));
  const both = collect(patched.sub, 'publication', 5);
  await hears(whole, payloads, () => publishAll(scene, channel, payloads));
  await both;
  assert.deepEqual(patched.heard, payloads);
  assert.deepEqual(counts(patched.sub), { full: 1, patches: 4 });
  for (const { c } of [patched, whole]) c.disconnect();
});

scenario('who comes later begins with a whole one', async (scene) => {
  const channel = unique('delta');
  const early = await listener(scene, channel);
  const payloads = Array.from({ length: 6 }, (_, index) => ({ index, FILLER }));
  await hears(early, payloads.slice(0, 3), () => publishAll(scene, channel, payloads.slice(0, 3)));
  const late = await listener(scene, channel);
  await hears(late, payloads.slice(3), () => publishAll(scene, channel, payloads.slice(3)));
  assert.deepEqual(counts(late.sub), { full: 1, patches: 2 });
  for (const { c } of [early, late]) c.disconnect();
});

scenario('deltas only of what the publisher says', async (scene) => {
  const channel = unique('asked');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 4 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, async () => {
    await publishAll(scene, channel, payloads.slice(0, 2));
    await publishAll(scene, channel, payloads.slice(2), { delta: true });
  });
  assert.deepEqual(counts(one.sub), { full: 2, patches: 2 });
  one.c.disconnect();
});

scenario('a channel without deltas', async (scene) => {
  const channel = unique('whole');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 3 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  assert.equal(counts(one.sub).patches, 0);
  one.c.disconnect();
});

scenario('client publications are patches, too', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 3 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, async () => {
    for (const payload of payloads) await one.sub.publish(scene.encode(payload));
  });
  assert.deepEqual(counts(one.sub), { full: 1, patches: 2 });
  one.c.disconnect();
});

scenario('history is whole for those with deltas', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 3 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, () => publishAll(scene, channel, payloads));
  const { publications } = await one.sub.history({ limit: -1 });
  assert.deepEqual(publications.map(({ data }) => scene.decode(data)), payloads);
  one.c.disconnect();
});

scenario('a publication that is not kept breaks no chain', async (scene) => {
  const channel = unique('delta');
  const one = await listener(scene, channel);
  const payloads = Array.from({ length: 5 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, async () => {
    for (const [i, payload] of payloads.entries()) await scene.publish(channel, payload, { skip_history: i === 2 });
  });
  one.c.disconnect();
});

scenario('killed connections break no chain', async (scene) => {
  const channel = unique('delta');
  const { relay, endpoint } = await scene.relay();
  const one = await listener(scene, channel, FOSSIL, endpoint);
  const payloads = Array.from({ length: 60 }, (_, index) => ({ index, FILLER }));
  await hears(one, payloads, async () => {
    for (const payload of payloads) {
      await scene.publish(channel, payload);
      if (payload.index % 20 === 10) relay.cut();
    }
  });
  // How many depends on how much was recovered: that comes whole.
  assert.ok(counts(one.sub).patches > 0);
  one.c.disconnect();
});
