// The cases of the official JavaScript client's own src/centrifuge.test.ts (JSON, WebSocket), under
// their names, against the real gateway. SKIPPED.md lists the rest.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Centrifuge, State, SubscriptionState, UnauthorizedError } from 'centrifuge';
import { Gateway, eventually, sleep } from './kit/gateway.mjs';
import { client, disconnectAll, next } from './kit/client.mjs';

// The client's tests were recorded with this secret and these tokens (anonymous, without expiry).
const CONFIG = await readFile(new URL('./config/javascript.toml', import.meta.url), 'utf8');
const CONNECT_TOKEN =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MzgwNzg4MjR9.MTb3higWfFW04E9-8wmTFOcf4MEm-rMDQaNKJ1VU_n4';
const SUBSCRIBE_TOKENS = {
  test1:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3Mzc1MzIzNDgsImNoYW5uZWwiOiJ0ZXN0MSJ9.eqPQxbBtyYxL8Hvbkm-P6aH7chUsSG_EMWe-rTwF_HI',
  test2:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3Mzc1MzIzODcsImNoYW5uZWwiOiJ0ZXN0MiJ9.tTJB3uSa8XpEmCvfkmrSKclijofnJ5RkQk6L2SaGtUE',
  test3:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3Mzc1MzIzOTgsImNoYW5uZWwiOiJ0ZXN0MyJ9.nyLcMrIot441CszOKska7kQIjo2sEm8pSxV1XWfNCsI',
  test4:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3Mzc1MzI0MDksImNoYW5uZWwiOiJ0ZXN0NCJ9.wWAX2AhJX6Ep4HVexQWSVF3-cWytVhzY9Pm7QsMdCsI',
  test5:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3Mzc1MzI0MTgsImNoYW5uZWwiOiJ0ZXN0NSJ9.hCSfpHYws5TXLKkN0bW0DU6C-wgEUNuhGaIy8W1sT9o',
};
// The client's own numbers (its codes.ts): why it connects, disconnects, unsubscribes.
const TRANSPORT_CLOSED = 1;
const DISCONNECT_CALLED = 0;
const UNAUTHORIZED = 1;
const UNSUBSCRIBE_CALLED = 0;

const options = { timeout: 30_000 };

let gateway;
before(async () => (gateway = await Gateway.start(CONFIG)));
after(() => {
  disconnectAll();
  return gateway?.stop();
});

const connectedClient = async (more) => {
  const c = client(gateway.websocket, more);
  c.connect();
  await c.ready(5000);
  return c;
};

async function disconnect(c) {
  const gone = next(c, 'disconnected');
  c.disconnect();
  const context = await gone;
  assert.equal(c.state, State.Disconnected);
  return context;
}

test('invalid endpoint', () => {
  assert.throws(() => new Centrifuge(''));
});

test('no websocket constructor', { skip: globalThis.WebSocket ? 'this Node has a WebSocket' : false }, () => {
  const c = new Centrifuge(gateway.websocket);
  assert.throws(() => c.connect());
});

test('websocket: connects and disconnects', options, async () => {
  const c = await connectedClient();
  assert.equal(c.state, State.Connected);
  assert.equal((await disconnect(c)).code, DISCONNECT_CALLED);
});

test('websocket: subscribe and unsubscribe', options, async () => {
  const c = await connectedClient();
  const sub = c.newSubscription('test');
  const unsubscribed = next(sub, 'unsubscribed');
  sub.subscribe();
  await sub.ready(5000);
  assert.equal(sub.state, SubscriptionState.Subscribed);
  assert.equal(c.state, State.Connected);
  sub.unsubscribe();
  c.disconnect();
  assert.equal((await unsubscribed).code, UNSUBSCRIBE_CALLED);
  assert.equal(sub.state, SubscriptionState.Unsubscribed);
  assert.equal(c.state, State.Disconnected);
});

test('websocket: publish and receive message', options, async () => {
  const c = await connectedClient();
  const sub = c.newSubscription('test');
  const publication = next(sub, 'publication');
  sub.subscribe();
  await sub.ready(5000);
  await sub.publish({ my: 'data' });
  assert.deepEqual((await publication).data, { my: 'data' });
  await disconnect(c);
});

test('websocket: rpc buffered till connected', options, async () => {
  const c = client(gateway.websocket);
  const refused = assert.rejects(c.rpc('method', { my: 'data' }), { code: 108 });
  // Only now: the call has waited for it.
  c.connect();
  await refused;
  await disconnect(c);
});

test('websocket: handles offline/online events', options, async () => {
  const networkEventTarget = new EventTarget();
  const c = await connectedClient({ networkEventTarget });
  const connecting = next(c, 'connecting', { fits: ({ code }) => code === TRANSPORT_CLOSED });
  networkEventTarget.dispatchEvent(new Event('offline'));
  await connecting;
  assert.equal(c.state, State.Connecting);
  networkEventTarget.dispatchEvent(new Event('online'));
  await c.ready(5000);
  assert.equal(c.state, State.Connected);
  await disconnect(c);
});

test('websocket: not connecting on online in disconnected state', options, async () => {
  const networkEventTarget = new EventTarget();
  const c = await connectedClient({ networkEventTarget });
  await disconnect(c);
  networkEventTarget.dispatchEvent(new Event('online'));
  assert.equal(c.state, State.Disconnected);
});

test('websocket: subscribe and presence', options, async () => {
  const c = await connectedClient();
  const sub = c.newSubscription('test');
  sub.subscribe();
  await sub.ready(5000);
  assert.ok(Object.keys((await sub.presence()).clients).length > 0);
  const { numClients, numUsers } = await sub.presenceStats();
  assert.ok(numClients > 0 && numUsers > 0);
  await disconnect(c);
});

test('websocket: connect disconnect loop', options, async () => {
  const c = client(gateway.websocket);
  const gone = next(c, 'disconnected');
  for (let i = 0; i < 10; i++) {
    c.connect();
    c.disconnect();
  }
  assert.equal(c.state, State.Disconnected);
  await gone;
});

test('websocket: subscribe and unsubscribe loop', options, async () => {
  const c = await connectedClient();
  const sub = c.newSubscription('test-loop');
  const unsubscribed = next(sub, 'unsubscribed');
  for (let i = 0; i < 10; i++) {
    sub.subscribe();
    sub.unsubscribe();
  }
  assert.equal(sub.state, SubscriptionState.Unsubscribed);
  await unsubscribed;

  const present = async (count) => {
    const { numClients, numUsers } = await c.presenceStats('test-loop');
    const { clients } = await c.presence('test-loop');
    return numClients === count && numUsers === count && Object.keys(clients).length === count;
  };
  sub.subscribe();
  await eventually('one is there', () => present(1));
  sub.unsubscribe();
  await eventually('nobody is there', () => present(0));
  await disconnect(c);
});

test('websocket: unsubscribe right after connect', options, async () => {
  const c = await connectedClient();
  const sub = c.newSubscription('test');
  const [unsubscribed, subscribed] = [next(sub, 'unsubscribed'), next(sub, 'subscribed')];
  sub.subscribe();
  c.disconnect();
  c.connect();
  sub.unsubscribe();
  assert.equal(sub.state, SubscriptionState.Unsubscribed);
  await unsubscribed;
  sub.subscribe();
  await subscribed;
  await disconnect(c);
});

test('websocket: unsubscribe in between connect command and reply', options, async () => {
  const c = client(gateway.websocket);
  const sub = c.newSubscription('test');
  const sent = new Promise((resolve) => {
    c.once('__centrifuge_debug:connect_frame_sent', () => {
      sub.unsubscribe();
      resolve();
    });
  });
  sub.subscribe();
  c.connect();
  await sent;
  await c.ready(5000);
  // Long enough for a wrong reply to do its harm.
  await sleep(1000);
  const subscribed = next(sub, 'subscribed');
  sub.subscribe();
  await subscribed;
  await disconnect(c);
});

test('websocket: reconnect after close before transport open', options, async () => {
  const networkEventTarget = new EventTarget();
  const c = client(gateway.websocket, { networkEventTarget });
  c.once('__centrifuge_debug:transport_initialized', () => {
    networkEventTarget.dispatchEvent(new Event('offline'));
  });
  c.connect();
  await c.ready(10_000);
  await disconnect(c);
});

test('websocket: connects and subscribes with token', options, async () => {
  for (let i = 0; i < 5; i++) {
    let [connectTokens, subscribeTokens] = [0, 0];
    const c = client(gateway.websocket, {
      getToken: async () => {
        await sleep(Math.random() * 100);
        connectTokens++;
        return CONNECT_TOKEN;
      },
    });
    c.connect();
    const sub = c.newSubscription('test1', {
      getToken: async () => {
        await sleep(Math.random() * 100);
        subscribeTokens++;
        return SUBSCRIBE_TOKENS.test1;
      },
    });
    const unsubscribed = next(sub, 'unsubscribed');
    sub.subscribe();
    await sub.ready(5000);
    assert.equal(c.state, State.Connected);
    sub.unsubscribe();
    c.disconnect();
    await unsubscribed;
    assert.deepEqual([sub.state, c.state], [SubscriptionState.Unsubscribed, State.Disconnected]);
    assert.deepEqual([connectTokens, subscribeTokens], [1, 1]);
  }
});

test('websocket: subscribes and unsubscribes from many subs', options, async () => {
  for (let i = 0; i < 5; i++) {
    const c = client(gateway.websocket);
    c.connect();
    const subs = Object.entries(SUBSCRIBE_TOKENS).map(([channel, token]) => {
      const getToken = async () => {
        await sleep(Math.random() * 100);
        return token;
      };
      return c.newSubscription(channel, { getToken });
    });
    const unsubscribed = subs.map((sub) => next(sub, 'unsubscribed'));
    subs.forEach((sub) => sub.subscribe());
    await Promise.all(subs.map((sub) => sub.ready(5000)));
    assert.ok(subs.every((sub) => sub.state === SubscriptionState.Subscribed));
    assert.equal(c.state, State.Connected);
    subs.forEach((sub) => sub.unsubscribe());
    c.disconnect();
    const contexts = await Promise.all(unsubscribed);
    assert.ok(contexts.every(({ code }) => code === UNSUBSCRIBE_CALLED));
    assert.ok(subs.every((sub) => sub.state === SubscriptionState.Unsubscribed));
    assert.equal(c.state, State.Disconnected);
  }
});

// A function that fails the first time and counts its calls.
function failsOnce(value) {
  const call = async () => {
    if (++call.count === 1) throw new Error('the first call fails');
    return value;
  };
  call.count = 0;
  return call;
}

for (const [what, value] of [['getToken', CONNECT_TOKEN], ['getData', {}]]) {
  test(`websocket: retries connection ${what} error`, options, async () => {
    const call = failsOnce(value);
    const c = await connectedClient({ [what]: call, minReconnectDelay: 1 });
    assert.equal(c.state, State.Connected);
    assert.equal(call.count, 2);
    await disconnect(c);
  });
}

for (const what of ['getToken', 'getData']) {
  test(`websocket: retries subscription ${what} error`, options, async () => {
    const call = failsOnce(what === 'getToken' ? SUBSCRIBE_TOKENS.test1 : {});
    const c = client(gateway.websocket, { getToken: async () => CONNECT_TOKEN });
    const sub = c.newSubscription('test1', {
      getToken: async () => SUBSCRIBE_TOKENS.test1,
      minResubscribeDelay: 1,
      [what]: call,
    });
    c.connect();
    sub.subscribe();
    await sub.ready(5000);
    assert.equal(sub.state, SubscriptionState.Subscribed);
    assert.equal(call.count, 2);
    await disconnect(c);
  });
}

test('websocket: disconnected with unauthorized', options, async () => {
  const c = client(gateway.websocket, {
    getToken: async () => {
      throw new UnauthorizedError('');
    },
  });
  const gone = next(c, 'disconnected');
  c.connect();
  assert.equal((await gone).code, UNAUTHORIZED);
  assert.equal(c.state, State.Disconnected);
});

test('websocket: unsubscribed with unauthorized', options, async () => {
  const c = client(gateway.websocket);
  const sub = c.newSubscription('test', {
    getToken: async () => {
      throw new UnauthorizedError('');
    },
  });
  const unsubscribed = next(sub, 'unsubscribed');
  c.connect();
  sub.subscribe();
  await c.ready(5000);
  assert.equal((await unsubscribed).code, UNAUTHORIZED);
  assert.equal(sub.state, SubscriptionState.Unsubscribed);
  assert.equal((await disconnect(c)).code, DISCONNECT_CALLED);
});
