// Lets the official JavaScript client talk to a pretended socket, in both forms: what it sends becomes
// commands/, what it makes of the frames in replies/ becomes heard.json. See README.md.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Centrifuge as JsonClient } from 'centrifuge';
import { Centrifuge as ProtobufClient } from 'centrifuge/build/protobuf';

const here = new URL('.', import.meta.url);

class Form {
  constructor(name, Client, extension, toData, fromData) {
    Object.assign(this, { name, Client, extension, toData, fromData });
  }
  reply(name) {
    const bytes = readFileSync(new URL(`replies/${name}.${this.extension}`, here));
    return this.name === 'json' ? bytes.toString('utf8') : new Uint8Array(bytes).buffer;
  }
  save(name, frame) {
    mkdirSync(new URL('commands/', here), { recursive: true });
    writeFileSync(new URL(`commands/${name}.${this.extension}`, here), frame);
  }
}

const forms = [
  new Form('json', JsonClient, 'json', (value) => value, (data) => data),
  new Form(
    'protobuf', ProtobufClient, 'bin',
    (value) => new TextEncoder().encode(JSON.stringify(value)),
    (data) => (data && data.length ? JSON.parse(new TextDecoder().decode(data)) : undefined),
  ),
];

/** One conversation. Ids count up from 1, so the prepared replies know what they answer. */
async function converse(form) {
  const heard = {};
  const waiting = [];
  const sent = [];
  let socket;

  class Socket {
    constructor() {
      socket = this;
      setTimeout(() => this.onopen());
    }
    send(frame) {
      const bytes = typeof frame === 'string' ? frame : new Uint8Array(frame);
      waiting.length ? waiting.shift()(bytes) : sent.push(bytes);
    }
    close() {
      setTimeout(() => this.onclose({ code: 1000, reason: '' }));
    }
  }

  const nextFrame = () => (sent.length ? Promise.resolve(sent.shift()) : new Promise((resolve) => waiting.push(resolve)));
  const saveFrame = async (name) => form.save(name, await nextFrame());
  const answer = (name) => socket.onmessage({ data: form.reply(name) });
  const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
  const tell = async (name, emitter, event) => {
    const said = once(emitter, event);
    answer(name);
    heard[name] = plain(await said);
  };
  const refused = async (name, promise) => {
    answer(name);
    heard[name] = await promise.then(() => 'no error', ({ code, message, temporary }) => ({ code, message, temporary: !!temporary }));
  };

  // Data back to values; the rest as the client gives it.
  const plain = (value) => {
    if (value instanceof Uint8Array) return form.fromData(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== 'object') return value;
    if (typeof value.toNumber === 'function') return value.toNumber();
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  };

  // A channel with history: what was missed comes first, then patches, one on top of the other.
  const follow = async () => {
    const prices = client.newSubscription('prices', {
      since: { offset: 3, epoch: 'abcd' }, positioned: true, recoverable: true, joinLeave: true, delta: 'fossil',
    });
    const said = [];
    const last = new Promise((resolve) => prices.on('publication', ({ data, offset }) => {
      said.push(plain({ data, offset }));
      if (plain(data).last) resolve();
    }));
    prices.subscribe();
    await saveFrame('subscribe_stream');
    await tell('subscribe_recovered', prices, 'subscribed');
    answer('patches');
    await last;
    heard.patches = { said, patches: prices.deltaStats().numDeltaPayloads };
    await tell('join', prices, 'join');
    await tell('leave', prices, 'leave');

    const presence = prices.presence();
    await nextFrame();
    answer('presence');
    heard.presence = plain(await presence);

    // Told that its state is too old, it gets a new one and tries again.
    const positions = [{ offset: 1, epoch: 'abcd' }, { offset: 7, epoch: 'abcd' }];
    const state = client.newSubscription('state', { getState: async () => positions.shift() });
    state.subscribe();
    await saveFrame('subscribe_state');
    answer('error_unrecoverable');
    await saveFrame('subscribe_state_again');
    await tell('subscribe_state', state, 'subscribed');

    await tell('push_subscribe_stream', client, 'subscribed');
  };

  const client = new form.Client('ws://127.0.0.1:1/connection/websocket', {
    websocket: Socket, protocol: form.name, token: 'old.connection.token', getToken: async () => 'new.connection.token',
    data: form.toData({ room: 'blue "1"' }), name: 'golden', version: '1.2.3',
  });
  client.on('error', (error) => { throw new Error(JSON.stringify(error)); });

  client.connect();
  await saveFrame('connect');
  await tell('connect', client, 'connected');

  const news = client.newSubscription('news', {
    token: 'old.subscription.token', getToken: async () => 'new.subscription.token', data: form.toData({ since: 1 }),
  });
  news.subscribe();
  await saveFrame('subscribe');
  await tell('subscribe', news, 'subscribed');
  await tell('publication', news, 'publication');
  await tell('publication_bare', news, 'publication');

  const published = news.publish(form.toData({ text: 'hi\n"there" 😀' }));
  await saveFrame('publish');
  answer('publish');
  heard.publish = plain(await published);

  const rpc = client.rpc('add', form.toData([1, 2]));
  await saveFrame('rpc');
  await refused('error', rpc);
  const presence = news.presence();
  await saveFrame('presence');
  await refused('error_temporary', presence);
  const stats = news.presenceStats();
  await saveFrame('presence_stats');
  answer('presence_stats');
  heard.presence_stats = plain(await stats);
  const history = news.history({ limit: 10, since: { offset: 5, epoch: 'abcd' }, reverse: true });
  await saveFrame('history');
  answer('history');
  heard.history = plain(await history);

  const message = client.send(form.toData('fire and forget'));
  await saveFrame('send');
  await message;

  answer('ping');
  await saveFrame('pong');

  await tell('push_subscribe', client, 'subscribed');
  await tell('push_publication', client, 'publication');
  await tell('push_message', client, 'message');
  await tell('push_unsubscribe', client, 'unsubscribed');

  client.startBatching();
  const both = Promise.all([news.publish(form.toData(1)), news.publish(form.toData(null))]);
  client.stopBatching();
  await saveFrame('batch');
  answer('batch');
  heard.batch = plain(await both);

  // The connect reply gave the token one second: now the client brings a new one by itself. It takes no
  // notice of refresh pushes.
  answer('push_refresh');
  await saveFrame('refresh');
  answer('refresh');

  const private_ = client.newSubscription('$private', { getToken: async () => 'new.subscription.token' });
  private_.subscribe();
  await nextFrame();
  await tell('subscribe_expiring', private_, 'subscribed');
  await saveFrame('sub_refresh');
  answer('sub_refresh');

  news.unsubscribe();
  await saveFrame('unsubscribe');
  answer('unsubscribe');

  await follow();
  client.disconnect();
  return heard;
}

const heard = {};
for (const form of forms) heard[form.name] = await converse(form);
writeFileSync(new URL('heard.json', here), `${JSON.stringify(heard, null, 1)}\n`);
process.exit(0);
