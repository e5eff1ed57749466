// What the official JavaScript client is told of a channel's past: pages forwards and backwards, from a
// position on, and refusals.

import assert from 'node:assert/strict';
import { scenarios, subscribed, unique } from './kit/places.mjs';

const scenario = await scenarios(`
[[channel.namespace]]
name = "plain"
allow_subscribe_for_client = true
`);

const [NOT_AVAILABLE, UNKNOWN_CHANNEL, UNRECOVERABLE] = [108, 102, 112];

// A channel on which numbers from 1 on have been said, and a subscription to it.
async function told(scene, count, namespace) {
  const channel = unique(namespace);
  for (let i = 1; i <= count; i++) await scene.publish(channel, { i });
  const c = await scene.connected();
  return { c, channel, sub: await subscribed(c.newSubscription(channel)) };
}

const offsets = ({ publications }) => publications.map(({ offset }) => offset);

scenario('limits', async (scene) => {
  const { c, sub } = await told(scene, 5);
  const position = await sub.history({ limit: 0 });
  assert.deepEqual([offsets(position), position.offset], [[], 5]);
  assert.ok(position.epoch);
  for (const [limit, expected] of [[-1, [1, 2, 3, 4, 5]], [2, [1, 2]], [5, [1, 2, 3, 4, 5]], [100, [1, 2, 3, 4, 5]]]) {
    const page = await sub.history({ limit });
    assert.deepEqual([offsets(page), page.offset, page.epoch], [expected, 5, position.epoch]);
    assert.deepEqual(page.publications.map(({ data }) => scene.decode(data).i), expected);
  }
  // Without a limit only the position.
  assert.deepEqual(offsets(await sub.history({})), []);
  c.disconnect();
});

scenario('since a position', async (scene) => {
  const { c, sub } = await told(scene, 5);
  const { epoch } = await sub.history({ limit: 0 });
  for (const [offset, limit, expected] of [
    [0, -1, [1, 2, 3, 4, 5]],
    [2, -1, [3, 4, 5]],
    [2, 2, [3, 4]],
    [5, -1, []],
    [4, 10, [5]],
  ]) {
    assert.deepEqual(offsets(await sub.history({ since: { offset, epoch }, limit })), expected, `since ${offset}`);
  }
  c.disconnect();
});

scenario('backwards', async (scene) => {
  const { c, sub } = await told(scene, 5);
  const { epoch } = await sub.history({ limit: 0 });
  assert.deepEqual(offsets(await sub.history({ limit: -1, reverse: true })), [5, 4, 3, 2, 1]);
  assert.deepEqual(offsets(await sub.history({ limit: 2, reverse: true })), [5, 4]);
  const since = { offset: 4, epoch };
  assert.deepEqual(offsets(await sub.history({ limit: -1, reverse: true, since })), [3, 2, 1]);
  assert.deepEqual(offsets(await sub.history({ limit: 2, reverse: true, since })), [3, 2]);
  c.disconnect();
});

for (const reverse of [false, true]) {
  scenario(`page by page, ${reverse ? 'backwards' : 'forwards'}`, async (scene) => {
    const { c, channel } = await told(scene, 23);
    const { epoch, offset: top } = await c.history(channel, { limit: 0 });
    const seen = [];
    let since = reverse ? { offset: top + 1, epoch } : { offset: 0, epoch };
    for (;;) {
      const { publications } = await c.history(channel, { limit: 5, since, reverse });
      if (publications.length === 0) break;
      assert.ok(publications.length <= 5);
      seen.push(...publications.map(({ offset }) => offset));
      since = { offset: seen.at(-1), epoch };
    }
    const all = Array.from({ length: 23 }, (_, i) => i + 1);
    assert.deepEqual(seen, reverse ? all.reverse() : all);
    c.disconnect();
  });
}

scenario('no more than the channel keeps', async (scene) => {
  const { c, sub } = await told(scene, 5, 'smallhistory');
  const page = await sub.history({ limit: -1 });
  assert.deepEqual([offsets(page), page.offset], [[4, 5], 5]);
  const { epoch } = page;
  assert.deepEqual(offsets(await sub.history({ limit: -1, since: { offset: 1, epoch } })), [4, 5]);
  c.disconnect();
});

scenario('since a position of another epoch: refused', async (scene) => {
  const { c, sub } = await told(scene, 2);
  await assert.rejects(sub.history({ limit: -1, since: { offset: 1, epoch: 'another' } }), { code: UNRECOVERABLE });
  c.disconnect();
});

scenario('a channel on which nothing was said', async (scene) => {
  const { c, sub } = await told(scene, 0);
  const page = await sub.history({ limit: -1 });
  assert.deepEqual([page.publications, page.offset], [[], 0]);
  assert.ok(page.epoch);
  c.disconnect();
});

scenario('who said it, tags; the same on the client and on the subscription', async (scene) => {
  const channel = unique();
  const c = await scene.connected({ token: scene.token({ sub: '42', info: { name: 'Alice' } }) });
  await c.publish(channel, scene.encode({ from: 'client' }));
  await scene.publish(channel, { from: 'api' }, { tags: { colour: 'red' } });
  const sub = await subscribed(c.newSubscription(channel));
  const pages = await Promise.all([sub.history({ limit: -1 }), c.history(channel, { limit: -1 })]);
  for (const { publications } of pages) {
    assert.deepEqual(publications.map(({ data }) => scene.decode(data).from), ['client', 'api']);
    const [said, tagged] = publications;
    assert.equal(said.info.user, '42');
    assert.deepEqual(scene.decode(said.info.connInfo), { name: 'Alice' });
    assert.equal(tagged.info, undefined);
    assert.deepEqual({ ...tagged.tags }, { colour: 'red' });
  }
  c.disconnect();
});

scenario('what is told to the API is told to clients', async (scene) => {
  const { c, channel, sub } = await told(scene, 3);
  const byApi = await scene.api('history', { channel, limit: -1 });
  const byClient = await sub.history({ limit: -1 });
  assert.deepEqual([byApi.offset, byApi.epoch], [byClient.offset, byClient.epoch]);
  assert.deepEqual(
    byApi.publications.map(({ offset, data }) => [offset, data.i]),
    byClient.publications.map(({ offset, data }) => [offset, scene.decode(data).i]),
  );
  c.disconnect();
});

scenario('forgotten', async (scene) => {
  const { c, channel, sub } = await told(scene, 3);
  const { epoch } = await sub.history({ limit: 0 });
  await scene.api('history_remove', { channel });
  const page = await sub.history({ limit: -1 });
  assert.deepEqual([page.publications, page.offset, page.epoch], [[], 3, epoch]);
  await scene.publish(channel, { i: 4 });
  assert.deepEqual(offsets(await sub.history({ limit: -1 })), [4]);
  c.disconnect();
});

scenario('not kept on request', async (scene) => {
  const { c, channel, sub } = await told(scene, 1);
  await scene.publish(channel, { i: 2 }, { skip_history: true });
  assert.deepEqual(offsets(await sub.history({ limit: -1 })), [1]);
  c.disconnect();
});

scenario('refusals', async (scene) => {
  const c = await scene.connected();
  await assert.rejects(c.history('plain:1', { limit: 1 }), { code: NOT_AVAILABLE });
  await assert.rejects(c.history('nowhere:1', { limit: 1 }), { code: UNKNOWN_CHANNEL });
  c.disconnect();
});
