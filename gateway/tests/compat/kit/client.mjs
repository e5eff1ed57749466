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

export function client(endpoint, options = {}) {
  return new Centrifuge([{ transport: 'websocket', endpoint }], { websocket: WebSocket, ...options });
}

export function protobufClient(endpoint, options = {}) {
  return new ProtobufCentrifuge([{ transport: 'websocket', endpoint }], { websocket: WebSocket, ...options });
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
