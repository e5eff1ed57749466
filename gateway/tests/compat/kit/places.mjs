// Where and how a case runs: on one node that keeps all in memory, and on two nodes with Redis between
// them (clients at the one, the API at the other); with a client that speaks JSON, and one Protobuf.

import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { client, disconnectAll, protobufClient, token } from './client.mjs';
import { Gateway } from './gateway.mjs';
import { Redis } from './redis.mjs';
import { Relay } from './relay.mjs';

const OFFICIAL = new URL('../config/javascript.toml', import.meta.url);
const OFFICIAL_SECRET = 'secret';

const utf8 = (value) => new TextEncoder().encode(JSON.stringify(value));

// Protobuf clients give and take bytes where JSON clients have values.
const WIRES = [
  { name: 'JSON', connect: client, encode: (value) => value, decode: (data) => data },
  { name: 'Protobuf', connect: protobufClient, encode: utf8, decode: (data) => JSON.parse(new TextDecoder().decode(data)) },
];

class Place {
  nodes = [];

  constructor(broker) {
    this.broker = broker;
  }

  async open(config) {
    if (this.broker === 'Redis') {
      this.redis = await Redis.start();
      config += `\n[broker]\nurl = "redis://127.0.0.1:${this.redis.port}/0"\n`;
    }
    this.nodes.push(await Gateway.start(config));
    if (this.redis) this.nodes.push(await Gateway.start(config, 'second gateway'));
  }

  async close() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.redis?.kill();
  }
}

// What a case is given: ways to make clients on its wire, and to call the API at its place.
class Scene {
  constructor(place, wire, test) {
    Object.assign(this, { place, wire, test });
  }

  get node() {
    return this.place.nodes[0];
  }

  encode(value) {
    return this.wire.encode(value);
  }

  decode(data) {
    return this.wire.decode(data);
  }

  client(options, endpoint = this.node.websocket) {
    return this.wire.connect(endpoint, options);
  }

  async connected(options, endpoint) {
    const c = this.client(options, endpoint);
    c.connect();
    await c.ready(5000);
    return c;
  }

  // A way to the node that the case can cut, and the endpoint at its near end.
  async relay() {
    const relay = await Relay.start(this.node.port);
    this.test.after(() => relay.stop());
    return { relay, endpoint: `ws://127.0.0.1:${relay.port}/connection/websocket` };
  }

  token(claims) {
    return token(claims, OFFICIAL_SECRET);
  }

  api(method, body) {
    return this.place.nodes.at(-1).api(method, body);
  }

  publish(channel, data, more = {}) {
    return this.api('publish', { channel, data, ...more });
  }
}

// The cases of one file: `scenario(name, (scene) => ...)` runs at every place on every wire. The gateways
// have what the official client's own tests ask for, and `config` (whole tables of TOML).
export async function scenarios(config = '') {
  const whole = (await readFile(OFFICIAL, 'utf8')) + config;
  const places = ['memory', 'Redis'].map((broker) => new Place(broker));
  before(() => Promise.all(places.map((place) => place.open(whole))));
  after(() => {
    disconnectAll();
    return Promise.all(places.map((place) => place.close()));
  });
  return (name, run) => {
    for (const place of places) {
      for (const wire of WIRES) {
        test(`${name} (${wire.name}, ${place.broker})`, { timeout: 60_000 }, (t) => run(new Scene(place, wire, t)));
      }
    }
  };
}

export async function subscribed(sub) {
  sub.subscribe();
  await sub.ready(5000);
  return sub;
}

let names = 0;
export const unique = (namespace = '') => `${namespace && `${namespace}:`}case-${process.pid}-${++names}`;
