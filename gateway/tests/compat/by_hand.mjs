// What a person can type into any WebSocket tool, exactly as README says it, and how a token may
// reach the gateway: in the frame or the Authorization header, never in the URL unless allowed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Gateway, HMAC_SECRET, KEYS, run } from './kit/gateway.mjs';
import { token } from './kit/client.mjs';

const OPEN = `
[channel.default]
allow_subscribe_for_client = true
allow_publish_for_subscriber = true
`;
const options = { timeout: 30_000 };

let gateway;
before(async () => (gateway = await Gateway.start(`${KEYS}${OPEN}`)));
after(() => gateway?.stop());

// One line in, one line out.
class Terminal {
  #lines = [];
  #waiting = [];

  static async open(url, headers = {}) {
    const terminal = new Terminal();
    terminal.socket = new WebSocket(url, { headers });
    terminal.closed = new Promise((resolve) => terminal.socket.once('close', (code) => resolve(code)));
    terminal.socket.on('message', (frame) => {
      for (const line of frame.toString().split('\n').filter(Boolean)) terminal.#take(JSON.parse(line));
    });
    await new Promise((resolve, reject) => {
      terminal.socket.once('open', resolve);
      terminal.socket.once('error', reject);
    });
    return terminal;
  }

  #take(line) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(line);
    else this.#lines.push(line);
  }

  type(line) {
    this.socket.send(line);
  }

  line() {
    return this.#lines.length ? Promise.resolve(this.#lines.shift()) : new Promise((r) => this.#waiting.push(r));
  }
}

test('connect, subscribe, publish and see the push', options, async () => {
  const jwt = (await run('FANFARE_GATEWAY', ['token', '--user', '42', '--secret', HMAC_SECRET])).trim();
  const t = await Terminal.open(gateway.websocket);
  t.type(`{"id":1,"connect":{"token":"${jwt}"}}`);
  const connected = await t.line();
  assert.equal(connected.id, 1);
  assert.match(connected.connect.client, /./);
  assert.deepEqual([connected.connect.ping, connected.connect.pong], [25, true]);

  t.type('{"id":2,"subscribe":{"channel":"news"}}');
  assert.deepEqual(await t.line(), { id: 2, subscribe: {} });

  t.type('{"id":3,"publish":{"channel":"news","data":{"text":"hi"}}}');
  const lines = [await t.line(), await t.line()];
  assert.deepEqual(lines.find((line) => line.id === 3), { id: 3, publish: {} });
  const push = lines.find((line) => line.push);
  assert.equal(push.push.channel, 'news');
  assert.deepEqual(push.push.pub.data, { text: 'hi' });
  assert.equal(push.push.pub.info.user, '42');
  t.socket.close();
});

test('a token in the Authorization header of the upgrade', options, async () => {
  const t = await Terminal.open(gateway.websocket, { Authorization: `Bearer ${token({ sub: '42' })}` });
  t.type('{"id":1,"connect":{}}');
  assert.match((await t.line()).connect.client, /./);
  t.socket.close();
});

test('different tokens in header and frame', options, async () => {
  const t = await Terminal.open(gateway.websocket, { Authorization: `Bearer ${token({ sub: '42' })}` });
  t.type(`{"id":1,"connect":{"token":"${token({ sub: '43' })}"}}`);
  assert.equal(await t.closed, 3500);
});

test('a token in the URL is not taken', options, async () => {
  const t = await Terminal.open(`${gateway.websocket}?token=${token({ sub: '42' })}`);
  t.type('{"id":1,"connect":{}}');
  assert.equal(await t.closed, 3501);
});

test('a token in the URL is taken where the option says so', options, async () => {
  const lenient = await Gateway.start(`${KEYS}${OPEN}
[client]
token_query_parameter = "token"
`);
  try {
    const t = await Terminal.open(`${lenient.websocket}?token=${token({ sub: '42' })}`);
    t.type('{"id":1,"connect":{}}');
    assert.match((await t.line()).connect.client, /./);
    t.socket.close();
  } finally {
    await lenient.stop();
  }
});
