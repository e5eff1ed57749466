// A TCP relay that can misbehave as networks do: stop forwarding while everything looks connected
// (a black hole), hang up, refuse. Also a balancer: each connection goes to the next target that takes it.

import { connect, createServer } from 'node:net';

export class Relay {
  #pairs = new Set();
  #silent = false;
  #next = 0;

  // `targets`: ports on 127.0.0.1.
  static async start(...targets) {
    const relay = new Relay();
    relay.targets = targets;
    // Half-open on purpose: an end passes through like everything else.
    relay.server = createServer({ allowHalfOpen: true }, (socket) => relay.#accept(socket));
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.port = relay.server.address().port;
    return relay;
  }

  #accept(inside, attempts = this.targets.length) {
    inside.on('error', () => {});
    const target = this.targets[this.#next++ % this.targets.length];
    const outside = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { inside, outside };
    outside.once('error', () => {
      if (this.#pairs.has(pair)) return this.#drop(pair);
      return attempts > 1 ? this.#accept(inside, attempts - 1) : inside.destroy();
    });
    outside.once('connect', () => {
      this.#pairs.add(pair);
      for (const [from, to] of [[inside, outside], [outside, inside]]) {
        from.on('error', () => this.#drop(pair));
        from.on('close', () => this.#drop(pair));
        from.pipe(to);
      }
      if (this.#silent) this.#mute(pair);
    });
  }

  #mute({ inside, outside }) {
    inside.unpipe(outside);
    outside.unpipe(inside);
    inside.pause();
    outside.pause();
  }

  #drop(pair) {
    if (!this.#pairs.delete(pair)) return;
    pair.inside.destroy();
    pair.outside.destroy();
  }

  // From now on nothing comes through and nobody is told, on old connections and on new ones.
  blackHole() {
    this.#silent = true;
    for (const pair of this.#pairs) this.#mute(pair);
  }

  // What was swallowed comes late, as TCP would resend it.
  heal() {
    this.#silent = false;
    for (const { inside, outside } of this.#pairs) {
      inside.pipe(outside);
      outside.pipe(inside);
    }
  }

  // Hangs up on everyone; new connections are welcome.
  cut() {
    for (const pair of [...this.#pairs]) this.#drop(pair);
  }

  stop() {
    this.server.close();
    this.cut();
  }
}
