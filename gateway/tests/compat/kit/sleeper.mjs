// The official client in a process of its own, which a test can put to sleep as a laptop's lid does. Its arguments are
// an endpoint and how long its tokens are good, in seconds; it prints one line of JSON for each event.

import { client, token } from './client.mjs';

const [endpoint, seconds] = process.argv.slice(2);
const tell = (event, detail = {}) => console.log(JSON.stringify({ event, ...detail }));
const soon = () => Math.floor(Date.now() / 1000) + Number(seconds);

const c = client(endpoint, {
  token: token({ sub: 'sleeper', exp: soon() }),
  getToken: async () => {
    tell('token');
    return token({ sub: 'sleeper', exp: soon() });
  },
  maxReconnectDelay: 500,
});
for (const event of ['connected', 'connecting', 'disconnected']) {
  c.on(event, ({ code, reason }) => tell(event, { code, reason }));
}
c.connect();
