// The three ways to publish: an official client, the server API, our worker. Each publisher waits for
// each answer before it goes on, at its own uneven pace, and remembers what was acknowledged.

import { client, token } from './client.mjs';
import { run, sleep } from './gateway.mjs';

class Publisher {
  attempted = new Map(); // id -> channel
  acknowledged = new Map(); // id -> channel

  // `paceMs`: the mean pause between publications.
  constructor(name, channels, random, paceMs) {
    Object.assign(this, { name, channels, random, paceMs, number: 0 });
  }

  async publishOne() {
    const channel = this.random.pick(this.channels);
    const id = `${this.name}/${this.number++}`;
    this.attempted.set(id, channel);
    await this.send(channel, { id, filler: 'x'.repeat(this.random.below(200)) });
    this.acknowledged.set(id, channel);
  }

  // Bursts and pauses: half of the time no pause at all.
  async pause() {
    await sleep(this.random.below(2) ? this.random.below(4 * this.paceMs) : 0);
  }

  // `count` publications, each of which must succeed.
  async publish(count) {
    for (let i = 0; i < count; i++) {
      await this.publishOne();
      await this.pause();
    }
  }

  // Goes on, whatever fails, until `stopped()`.
  async publishUntil(stopped) {
    while (!stopped()) {
      await this.publishOne().catch(() => {});
      await this.pause();
    }
  }

  async close() {}
}

export class ClientPublisher extends Publisher {
  async open(endpoint) {
    this.client = client(endpoint, { token: token({ sub: this.name }), timeout: 20_000, maxReconnectDelay: 1_000 });
    this.client.connect();
    await this.client.ready(10_000);
    return this;
  }

  async send(channel, data) {
    await this.client.publish(channel, data);
  }

  async close() {
    this.client.disconnect();
  }
}

export class ApiPublisher extends Publisher {
  through(gateway) {
    this.gateway = gateway;
    return this;
  }

  async send(channel, data) {
    await this.gateway.api('publish', { channel, data });
  }
}

export class WorkerPublisher extends Publisher {
  to(...args) {
    this.args = args;
    return this;
  }

  async send(channel, data) {
    await run('FANFARE_WORKER', ['publish', ...this.args, '--channel', channel, '--data', JSON.stringify(data)]);
  }
}
