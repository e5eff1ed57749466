// The life of tokens and the limits of users, as the official client goes through them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import { client, disconnectAll, next, token } from './kit/client.mjs';
import { Gateway, KEYS, eventually, sleep } from './kit/gateway.mjs';

const options = { timeout: 60_000 };
const CLOSED_BY_TRANSPORT = 1;
const INVALID_TOKEN = 3500;
const FORCE_DISCONNECT = 3503;
const CONNECTION_LIMIT = 3504;
const TOO_MANY_REQUESTS = 111;

const now = () => Math.floor(Date.now() / 1000);

let gateway;

before(async () => {
  gateway = await Gateway.start(`${KEYS}
[client]
ping_interval = "1s"
pong_timeout = "900ms"
expired_close_delay = "10s"
[channel.default]
allow_subscribe_for_client = true
allow_publish_for_client = true
[limit]
connections_per_user = 2
[limit.connection]
publishes = "1/m burst 2"
`);
});
after(() => gateway?.stop());
afterEach(disconnectAll);

async function connected(user, more = {}) {
  const c = client(gateway.websocket, { token: token({ sub: user }), maxReconnectDelay: 300, ...more });
  c.connect();
  await c.ready(10_000);
  return c;
}

test('a laptop that has slept past its token comes back with a new one', options, async () => {
  const sleeper = spawn(process.execPath, ['kit/sleeper.mjs', gateway.websocket, '4'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const told = [];
    createInterface({ input: sleeper.stdout }).on('line', (line) => told.push(JSON.parse(line)));
    const has = (event, from = 0) => told.slice(from).find((line) => line.event === event);
    await eventually('it is connected', () => has('connected'));
    sleeper.kill('SIGSTOP');
    // The gateway finds that nobody answers, long before the token's end.
    await eventually('it is given up', async () => (await gateway.metric('fanfare_disconnects_total', 'code="3012"')) > 0);
    await sleep(5_000);
    const before = told.length;
    sleeper.kill('SIGCONT');
    await eventually('it is back', () => has('connected', before));
    assert.equal(has('connecting', before).code, CLOSED_BY_TRANSPORT);
    assert.ok(has('token', before), 'the old token was good no longer');
    assert.ok(!has('disconnected', before), 'nothing of it is final');
  } finally {
    sleeper.kill('SIGKILL');
    await once(sleeper, 'exit');
  }
});

test('a client brings a new token before the old one ends, and loses nothing', options, async () => {
  let asked = 0;
  const c = await connected('ann', {
    token: token({ sub: 'ann', exp: now() + 2 }),
    getToken: async () => token({ sub: 'ann', exp: now() + (asked++ ? 3600 : 2) }),
  });
  let interrupted = 0;
  c.on('connecting', () => interrupted++);
  await eventually('two new tokens', () => asked >= 2);
  await sleep(3_000);
  assert.deepEqual([c.state, interrupted], ['connected', 0]);
});

test('whoever comes with a token that was revoked is asked for a new one', options, async () => {
  await gateway.api('revoke_token', { uid: 'bea-0' });
  let asked = 0;
  await connected('bea', {
    token: token({ sub: 'bea', jti: 'bea-0' }),
    getToken: async () => token({ sub: 'bea', jti: `bea-${++asked}` }),
  });
  assert.equal(asked, 1);
});

test('a connection whose token is revoked ends, and its client stays away', options, async () => {
  const c = await connected('cleo', {
    token: token({ sub: 'cleo', jti: 'cleo' }),
    getToken: async () => assert.fail('nobody asks for another'),
  });
  const gone = next(c, 'disconnected');
  await gateway.api('revoke_token', { uid: 'cleo' });
  assert.equal((await gone).code, INVALID_TOKEN);
});

test('whoever is blocked is sent away for good', options, async () => {
  const c = await connected('dan');
  const gone = next(c, 'disconnected');
  await gateway.api('block_user', { user: 'dan' });
  assert.equal((await gone).code, FORCE_DISCONNECT);
  await gateway.api('unblock_user', { user: 'dan' });
  await connected('dan');
});

test('one connection too many is told so, and the others stay', options, async () => {
  const both = [await connected('eve'), await connected('eve')];
  const third = client(gateway.websocket, { token: token({ sub: 'eve' }) });
  const gone = next(third, 'disconnected');
  third.connect();
  assert.equal((await gone).code, CONNECTION_LIMIT);
  assert.deepEqual(both.map((c) => c.state), ['connected', 'connected']);
});

test('a publication too many is an error that may be tried again', options, async () => {
  const c = await connected('fay');
  await c.publish('news', 1);
  await c.publish('news', 2);
  await assert.rejects(c.publish('news', 3), ({ code, temporary }) => code === TOO_MANY_REQUESTS && temporary !== false);
  assert.equal(c.state, 'connected');
});
