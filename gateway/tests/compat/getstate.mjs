// The cases of the official JavaScript client's own src/getstate.test.ts, under their names: the
// application tells the client where its state stands, and is asked again when that is too long ago.

import assert from 'node:assert/strict';
import { collect, next } from './kit/client.mjs';
import { eventually } from './kit/gateway.mjs';
import { scenarios, unique } from './kit/places.mjs';

const scenario = await scenarios();

// The client's own number (its codes.ts).
const GET_STATE_FAILED = 13;
const QUICKLY = { minResubscribeDelay: 50, maxResubscribeDelay: 50 };
const BEGINNING = { offset: 0, epoch: '' };

// A function that counts its calls.
function counted(call) {
  const wrapped = async (...args) => call(++wrapped.calls, ...args);
  wrapped.calls = 0;
  return wrapped;
}

async function subscribe(sub) {
  const context = next(sub, 'subscribed');
  sub.subscribe();
  return context;
}

async function publishAll(scene, channel, numbers) {
  for (const i of numbers) await scene.publish(channel, { i });
}

scenario('getState is called on initial subscribe and position is used for recovery', async (scene) => {
  const channel = unique();
  await publishAll(scene, channel, [1, 2, 3]);
  const c = await scene.connected();
  const getState = counted(() => BEGINNING);
  const sub = c.newSubscription(channel, { getState });
  const publications = collect(sub, 'publication', 3);
  const { recovered } = await subscribe(sub);
  assert.deepEqual([recovered, getState.calls], [true, 1]);
  assert.deepEqual((await publications).map(({ data }) => scene.decode(data).i), [1, 2, 3]);
  c.disconnect();
});

scenario('getState is NOT called on reconnect when recovery succeeds', async (scene) => {
  const channel = unique();
  const c = await scene.connected();
  const getState = counted(() => BEGINNING);
  const sub = c.newSubscription(channel, { recoverable: true, getState });
  await subscribe(sub);
  assert.equal(getState.calls, 1);
  const disconnected = next(c, 'disconnected');
  c.disconnect();
  await disconnected;
  await publishAll(scene, channel, [1, 2]);
  const [back, missed] = [next(sub, 'subscribed'), collect(sub, 'publication', 2)];
  c.connect();
  assert.equal((await back).recovered, true);
  await missed;
  assert.equal(getState.calls, 1);
  c.disconnect();
});

scenario('without getState, subscribe uses since option (backward compat)', async (scene) => {
  const channel = unique();
  await publishAll(scene, channel, [1]);
  const c = await scene.connected();
  const sub = c.newSubscription(channel, { since: BEGINNING });
  const publication = next(sub, 'publication');
  assert.equal((await subscribe(sub)).recovered, true);
  assert.deepEqual(scene.decode((await publication).data), { i: 1 });
  c.disconnect();
});

scenario('getState error triggers resubscribe with error event', async (scene) => {
  const channel = unique();
  const c = await scene.connected();
  const getState = counted((call) => {
    if (call === 1) throw new Error('the database is away');
    return BEGINNING;
  });
  const sub = c.newSubscription(channel, { ...QUICKLY, getState });
  const failed = next(sub, 'error');
  await subscribe(sub);
  assert.equal(getState.calls, 2);
  const { type, error } = await failed;
  assert.deepEqual([type, error.code], ['subscribe', GET_STATE_FAILED]);
  assert.match(error.message, /the database is away/);
  c.disconnect();
});

scenario('getState persistent failure keeps retrying without unsubscribing', async (scene) => {
  const c = await scene.connected();
  const getState = counted(() => {
    throw new Error('always');
  });
  const sub = c.newSubscription(unique(), { ...QUICKLY, getState });
  sub.subscribe();
  await eventually('four calls', () => getState.calls >= 4);
  assert.equal(sub.state, 'subscribing');
  sub.unsubscribe();
  c.disconnect();
});

scenario('getState with real position recovers missed publications', async (scene) => {
  const channel = unique();
  const c = await scene.connected();
  const early = c.newSubscription(channel, { recoverable: true });
  const { epoch } = (await subscribe(early)).streamPosition;
  early.unsubscribe();
  c.removeSubscription(early);
  await publishAll(scene, channel, [1, 2]);
  const sub = c.newSubscription(channel, { getState: async () => ({ offset: 0, epoch }) });
  const publications = collect(sub, 'publication', 2);
  assert.equal((await subscribe(sub)).recovered, true);
  assert.deepEqual((await publications).map(({ data }) => scene.decode(data).i), [1, 2]);
  c.disconnect();
});

scenario('getState is called when recovery fails (unrecoverable position)', async (scene) => {
  const channel = unique('smallhistory');
  const c = await scene.connected();
  const getState = counted(async () => {
    const { offset, epoch } = await scene.api('history', { channel, limit: 0 });
    return { offset: offset ?? 0, epoch };
  });
  const sub = c.newSubscription(channel, { ...QUICKLY, getState });
  await subscribe(sub);
  assert.equal(getState.calls, 1);
  const disconnected = next(c, 'disconnected');
  c.disconnect();
  await disconnected;
  await publishAll(scene, channel, [1, 2, 3, 4, 5]);
  const back = next(sub, 'subscribed');
  c.connect();
  // Not "subscribed, but something is lost": the refusal made the client ask for a new state first.
  const { recovered } = await back;
  assert.deepEqual([recovered, getState.calls], [true, 2]);
  const live = next(sub, 'publication');
  await publishAll(scene, channel, [6]);
  assert.equal((await live).offset, 6);
  c.disconnect();
});

// Ours: a state from another life of the channel is refused until the application knows better.
scenario('getState with the position of another epoch is asked again', async (scene) => {
  const channel = unique();
  await publishAll(scene, channel, [1, 2]);
  const c = await scene.connected();
  const getState = counted(async (call) => {
    const { offset, epoch } = await scene.api('history', { channel, limit: 0 });
    return { offset, epoch: call < 3 ? 'another' : epoch };
  });
  const sub = c.newSubscription(channel, { ...QUICKLY, getState });
  const { recovered } = await subscribe(sub);
  assert.deepEqual([recovered, getState.calls], [true, 3]);
  c.disconnect();
});
