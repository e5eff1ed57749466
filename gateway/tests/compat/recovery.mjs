// The stream cases of the official JavaScript client's own src/recovery.test.ts under their names, and
// more of what its recovery promises: killed connections, limits, positions that cannot be true, the
// latest value only, channels that the server subscribes to.

import assert from 'node:assert/strict';
import { collect, next } from './kit/client.mjs';
import { scenarios, subscribed, unique } from './kit/places.mjs';

const scenario = await scenarios(`
[[channel.namespace]]
name = "latest"
force_recovery = true
force_recovery_mode = "cache"
history_size = 10
history_ttl = "300s"
[[channel.namespace]]
name = "positioned"
force_positioning = true
history_size = 10
history_ttl = "300s"
[[channel.namespace]]
name = "plain"
allow_subscribe_for_client = true
`);

const HISTORY_SIZE = 100;

async function gone(c) {
  const disconnected = next(c, 'disconnected');
  c.disconnect();
  await disconnected;
}

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

async function publishAll(scene, channel, numbers) {
  for (const seq of numbers) await scene.publish(channel, { seq });
}

// The same, until another client of the node has heard the last of them. A publication is acknowledged
// when it is stored; a subscriber that recovers nothing joins where its node stands, and hears as news
// what is still on its way there.
async function publishAndHear(scene, channel, numbers) {
  const witness = await scene.connected();
  const sub = await subscribed(witness.newSubscription(channel));
  const last = next(sub, 'publication', { fits: ({ data }) => scene.decode(data).seq === numbers.at(-1) });
  await publishAll(scene, channel, numbers);
  await last;
  await gone(witness);
}

// Subscribes, and waits until one publication has come.
async function listener(scene, channel, options) {
  const c = await scene.connected();
  const sub = c.newSubscription(channel, options);
  const heard = [];
  sub.on('publication', ({ data, offset }) => heard.push({ ...scene.decode(data), offset }));
  const first = next(sub, 'publication');
  await subscribed(sub);
  await scene.publish(channel, { seq: 1 });
  await first;
  return { c, sub, heard };
}

// Subscribes again, or for the first time; the 'subscribed' context.
async function again(sub) {
  const context = next(sub, 'subscribed');
  sub.subscribe();
  return context;
}

const sequence = (heard) => heard.map(({ seq }) => seq);

scenario('stream: recovery after disconnect delivers missed publications', async (scene) => {
  const channel = unique('recovery');
  const { c, sub, heard } = await listener(scene, channel);
  await gone(c);
  await publishAll(scene, channel, [2, 3, 4]);

  const back = next(sub, 'subscribed');
  const missed = collect(sub, 'publication', 3);
  c.connect();
  const { recovered, wasRecovering, hasRecoveredPublications } = await back;
  assert.deepEqual([recovered, wasRecovering, hasRecoveredPublications], [true, true, true]);
  await missed;
  assert.deepEqual(sequence(heard), [1, 2, 3, 4]);

  const live = next(sub, 'publication');
  await scene.publish(channel, { seq: 5 });
  await live;
  assert.deepEqual(heard, range(1, 5).map((seq) => ({ seq, offset: seq })));
  await gone(c);
});

scenario('stream: recovery after unsubscribe/resubscribe', async (scene) => {
  const channel = unique('recovery');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAll(scene, channel, [2, 3]);
  const missed = collect(sub, 'publication', 2);
  assert.equal((await again(sub)).recovered, true);
  await missed;
  assert.deepEqual(sequence(heard), [1, 2, 3]);
  await gone(c);
});

scenario('stream: unrecoverable position resubscribes without recovery', async (scene) => {
  const channel = unique('smallhistory');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAndHear(scene, channel, [2, 3, 4, 5]);
  const { recovered, wasRecovering } = await again(sub);
  assert.deepEqual([recovered, wasRecovering], [false, true]);
  const live = next(sub, 'publication');
  await scene.publish(channel, { seq: 6 });
  await live;
  assert.deepEqual(sequence(heard), [1, 6]);
  await gone(c);
});

// From here on ours.

scenario('the first subscribe recovers nothing and knows where it stands', async (scene) => {
  const channel = unique('recovery');
  await publishAll(scene, channel, [1, 2]);
  const c = await scene.connected();
  const sub = c.newSubscription(channel);
  const context = await again(sub);
  const { recovered, wasRecovering, recoverable, positioned, streamPosition } = context;
  assert.deepEqual([recovered, wasRecovering, recoverable, positioned], [false, false, true, true]);
  assert.equal(streamPosition.offset, 2);
  assert.ok(streamPosition.epoch);
  await gone(c);
});

scenario('nothing missed is a recovery, too', async (scene) => {
  const { c, sub, heard } = await listener(scene, unique('recovery'));
  sub.unsubscribe();
  const { recovered, wasRecovering, hasRecoveredPublications } = await again(sub);
  assert.deepEqual([recovered, wasRecovering, hasRecoveredPublications], [true, true, false]);
  assert.deepEqual(sequence(heard), [1]);
  await gone(c);
});

scenario('recovery of a channel where nothing had been said', async (scene) => {
  const channel = unique('recovery');
  const c = await scene.connected();
  const sub = await subscribed(c.newSubscription(channel));
  sub.unsubscribe();
  await publishAll(scene, channel, [1, 2]);
  const missed = collect(sub, 'publication', 2);
  assert.equal((await again(sub)).recovered, true);
  assert.deepEqual((await missed).map(({ offset }) => offset), [1, 2]);
  await gone(c);
});

scenario('killed connections cost nothing', async (scene) => {
  const channel = unique('recovery');
  const { relay, endpoint } = await scene.relay();
  const c = await scene.connected({ minReconnectDelay: 1, maxReconnectDelay: 50 }, endpoint);
  const sub = c.newSubscription(channel);
  const [heard, returns] = [[], []];
  sub.on('publication', ({ data }) => heard.push(scene.decode(data).seq));
  sub.on('subscribed', ({ recovered }) => returns.push(recovered));
  await subscribed(sub);
  const all = collect(sub, 'publication', 90, { withinMs: 20_000 });
  for (const seq of range(1, 90)) {
    await scene.publish(channel, { seq });
    if (seq % 20 === 0) relay.cut();
  }
  await all;
  assert.deepEqual(heard, range(1, 90));
  assert.ok(returns.length > 1, 'the connection was never lost');
  assert.deepEqual(returns, returns.map((_, i) => i > 0));
  await gone(c);
});

scenario('everything that is kept is recovered', async (scene) => {
  const channel = unique('recovery');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAll(scene, channel, range(2, HISTORY_SIZE + 1));
  const missed = collect(sub, 'publication', HISTORY_SIZE);
  assert.equal((await again(sub)).recovered, true);
  await missed;
  assert.deepEqual(sequence(heard), range(1, HISTORY_SIZE + 1));
  await gone(c);
});

scenario('one more than is kept is not', async (scene) => {
  const channel = unique('recovery');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAndHear(scene, channel, range(2, HISTORY_SIZE + 2));
  const { recovered, wasRecovering } = await again(sub);
  assert.deepEqual([recovered, wasRecovering], [false, true]);
  assert.deepEqual(sequence(heard), [1]);
  await gone(c);
});

scenario('forgotten history is not recovered', async (scene) => {
  const channel = unique('recovery');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAndHear(scene, channel, [2, 3]);
  await scene.api('history_remove', { channel });
  assert.equal((await again(sub)).recovered, false);
  const live = next(sub, 'publication');
  await scene.publish(channel, { seq: 4 });
  await live;
  assert.deepEqual(heard.at(-1), { seq: 4, offset: 4 });
  await gone(c);
});

// What a client may say it has seen, when three publications were made: what becomes of its wish.
for (const [what, since, expected] of [
  ['the beginning, without an epoch', { offset: 0, epoch: '' }, [1, 2, 3]],
  ['the beginning', ({ epoch }) => ({ offset: 0, epoch }), [1, 2, 3]],
  ['the middle', ({ epoch }) => ({ offset: 2, epoch }), [3]],
  ['the end', ({ epoch }) => ({ offset: 3, epoch }), []],
  ['another epoch', { offset: 1, epoch: 'another' }, null],
  ['the end of another epoch', { offset: 3, epoch: 'another' }, null],
]) {
  scenario(`since ${what}: ${expected ? `recovers ${expected.length}` : 'recovers nothing'}`, async (scene) => {
    const channel = unique('recovery');
    await publishAll(scene, channel, [1, 2, 3]);
    const top = await scene.api('history', { channel, limit: 0 });
    const c = await scene.connected();
    const sub = c.newSubscription(channel, { since: typeof since === 'function' ? since(top) : since });
    const heard = [];
    sub.on('publication', ({ data }) => heard.push(scene.decode(data).seq));
    const { recovered, wasRecovering } = await again(sub);
    assert.deepEqual([recovered, wasRecovering], [expected !== null, true]);
    const live = next(sub, 'publication', { fits: ({ offset }) => offset === 4 });
    await scene.publish(channel, { seq: 4 });
    await live;
    assert.deepEqual(heard, [...(expected ?? []), 4]);
    await gone(c);
  });
}

scenario('recovered publications carry who said them, tags and offsets', async (scene) => {
  const channel = unique('recovery');
  const { c, sub } = await listener(scene, channel);
  sub.unsubscribe();
  const speaker = await scene.connected({ token: scene.token({ sub: 'speaker', info: { name: 'Sue' } }) });
  await speaker.publish(channel, scene.encode({ seq: 2 }));
  await scene.publish(channel, { seq: 3 }, { tags: { colour: 'red' } });
  const missed = collect(sub, 'publication', 2);
  sub.subscribe();
  const [said, tagged] = await missed;
  assert.deepEqual([said.channel, said.offset, said.info.user], [channel, 2, 'speaker']);
  assert.ok(said.info.client);
  assert.deepEqual(scene.decode(said.info.connInfo), { name: 'Sue' });
  assert.deepEqual([tagged.offset, tagged.info, { ...tagged.tags }], [3, undefined, { colour: 'red' }]);
  await gone(c);
  await gone(speaker);
});

scenario('cache: who comes back gets the latest publication only', async (scene) => {
  const channel = unique('latest');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  await publishAndHear(scene, channel, range(2, 30));
  const latest = next(sub, 'publication');
  const { recovered, wasRecovering } = await again(sub);
  assert.deepEqual([recovered, wasRecovering], [true, true]);
  assert.equal((await latest).offset, 30);
  const live = next(sub, 'publication');
  await scene.publish(channel, { seq: 31 });
  await live;
  assert.deepEqual(sequence(heard), [1, 30, 31]);
  await gone(c);
});

scenario('cache: who comes for the first time, too, if it asks', async (scene) => {
  const channel = unique('latest');
  await publishAll(scene, channel, [1, 2, 3]);
  const c = await scene.connected();
  const sub = c.newSubscription(channel, { since: { offset: 0, epoch: '' } });
  const latest = next(sub, 'publication');
  assert.equal((await again(sub)).recovered, true);
  assert.deepEqual(scene.decode((await latest).data), { seq: 3 });
  await gone(c);
});

scenario('cache: the latest publication is not told twice', async (scene) => {
  const channel = unique('latest');
  const { c, sub, heard } = await listener(scene, channel);
  sub.unsubscribe();
  assert.equal((await again(sub)).recovered, true);
  const live = next(sub, 'publication', { fits: ({ offset }) => offset === 2 });
  await scene.publish(channel, { seq: 2 });
  await live;
  assert.deepEqual(sequence(heard), [1, 2]);
  await gone(c);
});

scenario('positioned, not recoverable', async (scene) => {
  const channel = unique('positioned');
  await publishAll(scene, channel, [1, 2]);
  const c = await scene.connected();
  const context = await again(c.newSubscription(channel));
  assert.deepEqual([context.positioned, context.recoverable, context.wasRecovering], [true, false, false]);
  assert.equal(context.streamPosition.offset, 2);
  await gone(c);
});

// Their server claims otherwise to clients in its insecure mode, and then has nothing to recover from.
scenario('without history nobody has a position', async (scene) => {
  const channel = unique('plain');
  const c = await scene.connected();
  const sub = c.newSubscription(channel, { positioned: true, recoverable: true });
  const context = await again(sub);
  assert.deepEqual([context.positioned, context.recoverable], [false, false]);
  assert.equal(context.streamPosition, undefined);
  const live = next(sub, 'publication');
  await scene.publish(channel, { seq: 1 });
  assert.equal((await live).offset, undefined);
  await gone(c);
});

// Channels that the connection's token brings along, by both of its claims.
for (const [claim, claims] of [
  ['channels', (channel) => ({ channels: [channel] })],
  ['subs', (channel) => ({ subs: { [channel]: {} } })],
]) {
  const server = async (scene, namespace) => {
    const channel = unique(namespace);
    const c = scene.client({ token: scene.token({ sub: '42', ...claims(channel) }) });
    const heard = [];
    c.on('publication', (context) => {
      assert.equal(context.channel, channel);
      heard.push(scene.decode(context.data).seq);
    });
    const first = next(c, 'subscribed');
    c.connect();
    return { c, channel, heard, first: await first };
  };

  scenario(`server-side (${claim}): missed publications are delivered`, async (scene) => {
    const { c, channel, heard, first } = await server(scene, 'recovery');
    assert.equal(first.channel, channel);
    assert.deepEqual([first.recoverable, first.positioned, first.recovered], [true, true, false]);
    const live = next(c, 'publication');
    await scene.publish(channel, { seq: 1 });
    await live;
    await gone(c);
    await publishAll(scene, channel, [2, 3]);

    const back = next(c, 'subscribed');
    const missed = collect(c, 'publication', 2);
    c.connect();
    const { recovered, wasRecovering } = await back;
    assert.deepEqual([recovered, wasRecovering], [true, true]);
    await missed;
    assert.deepEqual(heard, [1, 2, 3]);
    const later = next(c, 'publication');
    await scene.publish(channel, { seq: 4 });
    await later;
    assert.deepEqual(heard, [1, 2, 3, 4]);
    await gone(c);
  });

  scenario(`server-side (${claim}): what is lost is said`, async (scene) => {
    const { c, channel, heard } = await server(scene, 'smallhistory');
    const live = next(c, 'publication');
    await scene.publish(channel, { seq: 1 });
    await live;
    await gone(c);
    await publishAndHear(scene, channel, [2, 3, 4, 5]);
    const back = next(c, 'subscribed');
    c.connect();
    const { recovered, wasRecovering } = await back;
    assert.deepEqual([recovered, wasRecovering], [false, true]);
    const later = next(c, 'publication');
    await scene.publish(channel, { seq: 6 });
    await later;
    assert.deepEqual(heard, [1, 6]);
    await gone(c);
  });
}

scenario('server-side (API): the push says where the subscription stands', async (scene) => {
  const channel = unique('recovery');
  await publishAll(scene, channel, [1, 2]);
  const user = unique();
  const c = await scene.connected({ token: scene.token({ sub: user }) });
  const pushed = next(c, 'subscribed');
  await scene.api('subscribe', { user, channel });
  const context = await pushed;
  assert.deepEqual([context.channel, context.recoverable, context.positioned], [channel, true, true]);
  assert.equal(context.streamPosition.offset, 2);
  const live = next(c, 'publication');
  await scene.publish(channel, { seq: 3 });
  assert.equal((await live).offset, 3);
  await gone(c);
});
