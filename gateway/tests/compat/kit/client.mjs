// The official JavaScript client on the `ws` package's socket, tokens for it, and promises for its events.

import { createHmac } from 'node:crypto';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { HMAC_SECRET } from './gateway.mjs';

// An HS256 token with the given claims.
export function token(claims, secret = HMAC_SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const clients = [];

function remembered(c) {
  clients.push(c);
  return c;
}

export function client(endpoint, options = {}) {
  return remembered(new Centrifuge([{ transport: 'websocket', endpoint }], { websocket: WebSocket, ...options }));
}

export function protobufClient(endpoint, options = {}) {
  return remembered(new ProtobufCentrifuge([{ transport: 'websocket', endpoint }], { websocket: WebSocket, ...options }));
}

// Ends every client there is: one that a failed case has left behind would reconnect for ever.
export function disconnectAll() {
  for (const c of clients.splice(0)) c.disconnect();
}

// The next event of that name that fits, as a promise with a deadline.
export function next(emitter, event, { fits = () => true, withinMs = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      emitter.removeListener(event, listener);
      reject(new Error(`no '${event}' within ${withinMs} ms`));
    }, withinMs);
    const listener = (context) => {
      if (!fits(context)) return;
      clearTimeout(timer);
      emitter.removeListener(event, listener);
      resolve(context);
    };
    emitter.on(event, listener);
  });
}

// The next `count` events of that name, as a promise with a deadline. Later ones are added to its list.
export function collect(emitter, event, count, { withinMs = 10_000 } = {}) {
  const contexts = [];
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`${contexts.length} '${event}' within ${withinMs} ms, not ${count}`));
    const timer = setTimeout(late, withinMs);
    emitter.on(event, (context) => {
      contexts.push(context);
      if (contexts.length < count) return;
      clearTimeout(timer);
      resolve(contexts);
    });
  });
}
