// Official clients of a fault run: each event is one line of JSON on stdout, as it comes. Ends when stdin
// does. Arguments: the endpoint, how many clients, their channels as JSON, and what signs their tokens.

import { client, disconnectAll, token } from '../compat/kit/client.mjs';

const [endpoint, count, channels] = [process.argv[2], Number(process.argv[3]), JSON.parse(process.argv[4])];
const secret = process.argv[5];
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

for (let i = 0; i < count; i++) {
  const name = `official${i}`;
  const c = client(endpoint, {
    token: token({ sub: name }, secret),
    minReconnectDelay: 50,
    maxReconnectDelay: 1_000,
    maxServerPingDelay: 5_000,
    timeout: 5_000,
  });
  for (const channel of channels) {
    const sub = c.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 1_000 });
    const tell = (event, more) => say({ client: name, channel, event, ...more });
    sub.on('subscribed', ({ recovered, wasRecovering, streamPosition }) =>
      tell('subscribed', { recovered, was_recovering: wasRecovering, ...streamPosition }),
    );
    sub.on('publication', ({ data, offset }) => tell('publication', { data: JSON.stringify(data), offset }));
    sub.on('subscribing', ({ code, reason }) => tell('subscribing', { code, reason }));
    sub.on('unsubscribed', ({ code, reason }) => tell('unsubscribed', { code, reason }));
    sub.subscribe();
  }
  c.on('connecting', ({ code, reason }) => say({ client: name, event: 'connecting', code, reason }));
  c.on('disconnected', ({ code, reason }) => say({ client: name, event: 'disconnected', code, reason }));
  c.connect();
}

process.stdin.on('end', () => {
  disconnectAll();
  process.exit(0);
});
process.stdin.resume();
