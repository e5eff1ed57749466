// A process full of official clients: steady ones that listen to every channel, and restless ones that
// subscribe, leave and reconnect all the time. Started by `Swarm.start`, spoken to over IPC.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { client, token } from './client.mjs';
import { eventually, sleep } from './gateway.mjs';
import { Random } from './random.mjs';

const FILE = fileURLToPath(import.meta.url);

// The parent's side.
export class Swarm {
  // order: { steady: [endpoint], restless: [endpoint], channels: [name], seed, name }
  static async start(order) {
    const swarm = new Swarm();
    swarm.child = fork(FILE, ['--swarm']);
    process.once('exit', () => swarm.child.kill('SIGKILL'));
    await swarm.#ask({ order }, 60_000);
    return swarm;
  }

  // Waits until each steady client has `expected[channel]` publications, or the deadline. Returns
  // { steady: [{ channel, sequence, clients }], restless: [{ channel, sequence, client }] }, where steady
  // clients that saw the same thing share an entry.
  finish(expected, withinMs) {
    return this.#ask({ finish: expected, withinMs }, withinMs + 30_000);
  }

  stop() {
    this.child.kill();
  }

  #ask(message, withinMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the swarm does not answer')), withinMs);
      this.child.once('exit', (code) => reject(new Error(`the swarm ended with ${code}`)));
      this.child.once('message', (answer) => {
        clearTimeout(timer);
        if (answer.error) reject(new Error(answer.error));
        else resolve(answer);
      });
      this.child.send(message);
    });
  }
}

// The child's side.
class Steady {
  sequences = {};

  constructor(endpoint, name, channels) {
    this.name = name;
    this.client = client(endpoint, { token: token({ sub: name }), name: 'steady' });
    this.subs = channels.map((channel) => {
      const sequence = (this.sequences[channel] = []);
      const sub = this.client.newSubscription(channel);
      sub.on('publication', ({ data }) => sequence.push(data.id));
      sub.subscribe();
      return sub;
    });
    this.client.connect();
  }

  async ready() {
    await Promise.all(this.subs.map((sub) => sub.ready(30_000)));
  }

  has(expected) {
    return Object.entries(expected).every(([channel, count]) => this.sequences[channel].length >= count);
  }
}

class Restless {
  slices = [];
  stopped = false;

  constructor(endpoint, name, channels, random) {
    this.name = name;
    this.random = random;
    this.client = client(endpoint, { token: token({ sub: name }), name: 'restless', minReconnectDelay: 1 });
    this.subs = channels.map((channel) => {
      const sub = this.client.newSubscription(channel);
      let slice = null;
      sub.on('subscribed', () => {
        slice = { channel, sequence: [], client: name };
        this.slices.push(slice);
      });
      sub.on('publication', ({ data }) => slice?.sequence.push(data.id));
      for (const event of ['subscribing', 'unsubscribed']) sub.on(event, () => (slice = null));
      return sub;
    });
    this.client.connect();
  }

  async run() {
    await this.client.ready(30_000);
    while (!this.stopped) {
      await sleep(20 + this.random.below(180));
      if (this.random.below(8) === 0) {
        this.client.disconnect();
        this.client.connect();
        continue;
      }
      const sub = this.random.pick(this.subs);
      if (sub.state === 'unsubscribed') sub.subscribe();
      else sub.unsubscribe();
    }
    this.client.disconnect();
  }
}

async function begin({ steady, restless, channels, seed, name }) {
  const random = new Random(seed);
  const calm = steady.map((endpoint, i) => new Steady(endpoint, `${name}-steady-${i}`, channels));
  await Promise.all(calm.map((listener) => listener.ready()));
  const wild = restless.map(
    (endpoint, i) => new Restless(endpoint, `${name}-restless-${i}`, channels, new Random(seed + 1 + random.below(1e9))),
  );
  const ends = wild.map((visitor) => visitor.run());
  return { calm, wild, ends };
}

async function end({ calm, wild, ends }, expected, withinMs) {
  // Too few arrived is for the parent to judge: it has the whole picture.
  await eventually('all have all', () => calm.every((listener) => listener.has(expected)), withinMs).catch(() => {});
  wild.forEach((visitor) => (visitor.stopped = true));
  await Promise.all(ends);
  const same = new Map();
  for (const { name, sequences } of calm) {
    for (const [channel, sequence] of Object.entries(sequences)) {
      const key = `${channel} ${sequence.join(' ')}`;
      if (!same.has(key)) same.set(key, { channel, sequence, clients: [] });
      same.get(key).clients.push(name);
    }
  }
  const restless = wild.flatMap(({ slices }) => slices).filter(({ sequence }) => sequence.length > 0);
  return { steady: [...same.values()], restless };
}

if (process.argv[2] === '--swarm') {
  let state;
  process.on('message', async ({ order, finish, withinMs }) => {
    try {
      if (order) {
        state = await begin(order);
        process.send({ ready: true });
      } else {
        process.send(await end(state, finish, withinMs));
      }
    } catch (error) {
      process.send({ error: error.stack });
    }
  });
  process.once('disconnect', () => process.exit());
}
