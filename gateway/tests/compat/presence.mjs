// Who is on a channel, as the official JavaScript client is told: lists, numbers, who joins and leaves.

import assert from 'node:assert/strict';
import { next } from './kit/client.mjs';
import { eventually } from './kit/gateway.mjs';
import { scenarios, subscribed, unique } from './kit/places.mjs';

const scenario = await scenarios(`
[[channel.namespace]]
name = "told"
presence = true
join_leave = true
force_push_join_leave = true
[[channel.namespace]]
name = "ask"
presence = true
join_leave = true
[[channel.namespace]]
name = "silent"
presence = true
[[channel.namespace]]
name = "patient"
presence = true
join_leave = true
force_push_join_leave = true
leave_delay = "10s"
[[channel.namespace]]
name = "plain"
allow_subscribe_for_client = true
`);

const [UNKNOWN_CHANNEL, NOT_AVAILABLE] = [102, 108];

// A user's client that is on the channel, and what it was told of others.
async function visitor(scene, channel, user, { options = {}, endpoint, ...claims } = {}) {
  const token = scene.token({ sub: user, ...claims });
  const c = scene.client({ token, minReconnectDelay: 1, maxReconnectDelay: 50 }, endpoint);
  const connected = next(c, 'connected');
  c.connect();
  const { client } = await connected;
  const sub = c.newSubscription(channel, options);
  const told = [];
  sub.on('join', ({ info }) => told.push(`+${info.user}`));
  sub.on('leave', ({ info }) => told.push(`-${info.user}`));
  await subscribed(sub);
  return { c, sub, client, told };
}

const users = ({ clients }) => Object.values(clients).map(({ user }) => user).sort();
const isTold = ({ told }, what) => eventually(what, () => told.includes(what));
const leave = (...visitors) => visitors.forEach(({ c }) => c.disconnect());

scenario('who is there, and how many', async (scene) => {
  const channel = unique();
  const one = await visitor(scene, channel, 'ann');
  const two = await visitor(scene, channel, 'ann');
  const three = await visitor(scene, channel, 'bob');
  const presence = await one.sub.presence();
  assert.deepEqual(Object.keys(presence.clients).sort(), [one, two, three].map(({ client }) => client).sort());
  assert.deepEqual(users(presence), ['ann', 'ann', 'bob']);
  for (const [id, info] of Object.entries(presence.clients)) assert.equal(info.client, id);
  assert.deepEqual(await one.sub.presenceStats(), { numClients: 3, numUsers: 2 });
  // Also for who is elsewhere.
  const elsewhere = await scene.connected();
  assert.deepEqual(users(await elsewhere.presence(channel)), ['ann', 'ann', 'bob']);
  assert.deepEqual(await elsewhere.presenceStats(channel), { numClients: 3, numUsers: 2 });
  elsewhere.disconnect();
  leave(one, two, three);
});

scenario('what is known of them', async (scene) => {
  const channel = unique();
  const token = scene.token({ sub: 'ann', channel, info: { seat: 7 } });
  const one = await visitor(scene, channel, 'ann', { info: { name: 'Ann' }, options: { token } });
  const { user, client, connInfo, chanInfo } = (await one.sub.presence()).clients[one.client];
  assert.deepEqual([user, client], ['ann', one.client]);
  assert.deepEqual([scene.decode(connInfo), scene.decode(chanInfo)], [{ name: 'Ann' }, { seat: 7 }]);
  leave(one);
});

scenario('nobody is there', async (scene) => {
  const c = await scene.connected();
  const channel = unique();
  assert.deepEqual((await c.presence(channel)).clients, {});
  assert.deepEqual(await c.presenceStats(channel), { numClients: 0, numUsers: 0 });
  c.disconnect();
});

scenario('who has left is not there', async (scene) => {
  const channel = unique();
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((user) => visitor(scene, channel, user)));
  bob.sub.unsubscribe();
  await eventually('bob is gone', async () => users(await ann.sub.presence()).join() === 'ann,eve');
  eve.c.disconnect();
  await eventually('eve is gone', async () => users(await ann.sub.presence()).join() === 'ann');
  assert.deepEqual(await ann.sub.presenceStats(), { numClients: 1, numUsers: 1 });
  leave(ann, bob);
});

scenario('the API tells the same', async (scene) => {
  const channel = unique();
  const ann = await visitor(scene, channel, 'ann', { info: { name: 'Ann' } });
  const { presence } = await scene.api('presence', { channel });
  assert.deepEqual(presence, { [ann.client]: { user: 'ann', client: ann.client, conn_info: { name: 'Ann' } } });
  assert.deepEqual(await scene.api('presence_stats', { channel }), { num_clients: 1, num_users: 1 });
  leave(ann);
});

scenario('refusals', async (scene) => {
  const c = await scene.connected();
  for (const ask of ['presence', 'presenceStats']) {
    await assert.rejects(c[ask]('plain:1'), { code: NOT_AVAILABLE });
    await assert.rejects(c[ask]('nowhere:1'), { code: UNKNOWN_CHANNEL });
  }
  c.disconnect();
});

scenario('joins and leaves are told', async (scene) => {
  const channel = unique('told');
  const ann = await visitor(scene, channel, 'ann');
  const joined = next(ann.sub, 'join', { fits: ({ info }) => info.user === 'bob' });
  const bob = await visitor(scene, channel, 'bob', { info: { name: 'Bob' } });
  const { channel: where, info } = await joined;
  assert.deepEqual([where, info.client, scene.decode(info.connInfo)], [channel, bob.client, { name: 'Bob' }]);
  const left = next(ann.sub, 'leave');
  bob.sub.unsubscribe();
  const { info: gone } = await left;
  assert.deepEqual([gone.user, gone.client], ['bob', bob.client]);
  leave(ann, bob);
});

scenario('also to oneself: one joins', async (scene) => {
  const channel = unique('told');
  const ann = await visitor(scene, channel, 'ann');
  await isTold(ann, '+ann');
  const bob = await visitor(scene, channel, 'bob');
  await Promise.all([isTold(ann, '+bob'), isTold(bob, '+bob')]);
  assert.deepEqual(ann.told, ['+ann', '+bob']);
  leave(ann, bob);
});

scenario('who disconnects leaves', async (scene) => {
  const channel = unique('told');
  const [ann, bob] = [await visitor(scene, channel, 'ann'), await visitor(scene, channel, 'bob')];
  await isTold(ann, '+bob');
  bob.c.disconnect();
  await isTold(ann, '-bob');
  assert.deepEqual(ann.told, ['+ann', '+bob', '-bob']);
  leave(ann);
});

scenario('who is cut off leaves', async (scene) => {
  const channel = unique('told');
  const { relay, endpoint } = await scene.relay();
  const ann = await visitor(scene, channel, 'ann');
  const bob = await visitor(scene, channel, 'bob', { endpoint });
  await isTold(ann, '+bob');
  relay.stop();
  await isTold(ann, '-bob');
  assert.deepEqual(ann.told, ['+ann', '+bob', '-bob']);
  leave(ann, bob);
});

scenario('told only to those who ask, if not to all', async (scene) => {
  const channel = unique('ask');
  const ann = await visitor(scene, channel, 'ann', { options: { joinLeave: true } });
  const deaf = await visitor(scene, channel, 'deaf');
  const bob = await visitor(scene, channel, 'bob', { options: { joinLeave: true } });
  await Promise.all([isTold(ann, '+bob'), isTold(bob, '+bob')]);
  bob.sub.unsubscribe();
  await isTold(ann, '-bob');
  assert.deepEqual(ann.told, ['+ann', '+deaf', '+bob', '-bob']);
  assert.deepEqual(deaf.told, []);
  leave(ann, deaf, bob);
});

scenario('a channel where nobody is told', async (scene) => {
  const channel = unique('silent');
  const ann = await visitor(scene, channel, 'ann', { options: { joinLeave: true } });
  const bob = await visitor(scene, channel, 'bob');
  bob.sub.unsubscribe();
  await eventually('bob is gone', async () => (await ann.sub.presenceStats()).numClients === 1);
  const heard = next(ann.sub, 'publication');
  await scene.publish(channel, 'a word');
  await heard;
  assert.deepEqual(ann.told, []);
  leave(ann, bob);
});

scenario('server-side subscriptions join and leave, too', async (scene) => {
  const channel = unique('told');
  const arrive = async (user) => {
    const c = scene.client({ token: scene.token({ sub: user, channels: [channel] }) });
    const told = [];
    c.on('join', (context) => told.push(`${context.channel} +${context.info.user}`));
    c.on('leave', (context) => told.push(`${context.channel} -${context.info.user}`));
    const itself = next(c, 'join', { fits: ({ info }) => info.user === user });
    c.connect();
    await itself;
    return { c, told };
  };
  const ann = await arrive('ann');
  const bob = await arrive('bob');
  await isTold(ann, `${channel} +bob`);
  assert.deepEqual(users(await ann.c.presence(channel)), ['ann', 'bob']);
  bob.c.disconnect();
  await isTold(ann, `${channel} -bob`);
  leave(ann);
});

// Ours: Centrifugo tells a leave and a join here.
scenario('who is cut off and comes back in time has neither left nor joined', async (scene) => {
  const channel = unique('patient');
  const { relay, endpoint } = await scene.relay();
  const ann = await visitor(scene, channel, 'ann');
  const bob = await visitor(scene, channel, 'bob', { endpoint });
  await isTold(ann, '+bob');
  for (let i = 0; i < 3; i++) {
    const back = next(bob.sub, 'subscribed');
    relay.cut();
    await back;
  }
  const eve = await visitor(scene, channel, 'eve');
  await isTold(ann, '+eve');
  assert.deepEqual(ann.told, ['+ann', '+bob', '+eve']);
  await eventually('each is there once', async () => users(await ann.sub.presence()).join() === 'ann,bob,eve');
  leave(ann, bob, eve);
});
