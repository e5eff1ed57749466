// npm's jose as an issuer. Says and obeys what web.py does.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const certificate = (name) => readFile(new URL(`../certificates/${name}`, import.meta.url));
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const generations = [];
let rotations = 0;

async function rotate() {
  const number = rotations++;
  const newKey = async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const kid = `${alg}-${number}`;
    return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
  };
  generations.push(await Promise.all(ALGORITHMS.map(newKey)));
}

function sign({ alg, kid, privateKey }) {
  const claims = { sub: '42', iss: 'https://issuer.example', exp: 4102444800 };
  return new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(privateKey);
}

const commands = {
  async sign() {
    const signed = generations.at(-1).map(async (key) => [key.alg, await sign(key)]);
    return Object.fromEntries(await Promise.all(signed));
  },
  async rotate() {
    await rotate();
    return {};
  },
  async retire() {
    generations.splice(0, generations.length - 1);
    return {};
  },
};

await rotate();
const tls = { cert: await certificate('localhost.pem'), key: await certificate('localhost.key') };
const server = createServer(tls, (_request, response) => {
  const keys = generations.flat().map(({ jwk }) => jwk);
  response.setHeader('Content-Type', 'application/jwk-set+json');
  response.end(JSON.stringify({ keys }));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
answer({ url: `https://localhost:${server.address().port}/jwks.json` });
for await (const line of createInterface({ input: process.stdin })) answer(await commands[line.trim()]());
server.close();
server.closeAllConnections();
