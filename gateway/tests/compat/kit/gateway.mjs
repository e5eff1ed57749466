// Starts the real gateway on free ports with a configuration given as TOML, and asks it things from
// outside: the API, the metrics. Knows nothing of what is inside.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Every node and Redis of a suite hangs an 'exit' listener on the process.
process.setMaxListeners(0);

export const HMAC_SECRET = 'compat-secret-that-is-long-enough-for-hs256';
export const API_KEY = 'compat-api-key';

// The part of the configuration that every node of these suites has.
export const KEYS = `
[auth.token]
hmac_secret = "${HMAC_SECRET}"
[api]
key = "${API_KEY}"
`;

const READY_WITHIN_MS = 15_000;

function binary(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} must name the binary; gateway/tests/compat/run sets it`);
  return path;
}

const given = new Set();

// Below the range from which the kernel takes ports for whoever connects, and never the same twice within this
// process: no other test gets it before the server listens there, nor while it is started again.
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    given.add(port);
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until `condition` returns something truthy, and returns that. Polls: for what cannot be awaited.
export async function eventually(what, condition, withinMs = 20_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(25);
  }
}

export class Gateway {
  static async start(config, name = 'gateway') {
    const directory = await mkdtemp(join(tmpdir(), 'fanfare-compat-'));
    const file = join(directory, 'gateway.toml');
    await writeFile(file, config);
    const [port, internalPort] = [await freePort(), await freePort()];
    const gateway = new Gateway();
    const apiKey = /^\[api\]\nkey = "(.*)"$/m.exec(config)?.[1];
    Object.assign(gateway, { name, directory, file, port, internalPort, apiKey });
    gateway.process = spawn(
      binary('FANFARE_GATEWAY'),
      ['serve', '-c', file, '--listen', `127.0.0.1:${port}`, '--internal-listen', `127.0.0.1:${internalPort}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    gateway.log = '';
    const keep = (chunk) => {
      gateway.log = (gateway.log + chunk).slice(-64 * 1024);
      if (process.env.FANFARE_COMPAT_LOG) process.stderr.write(chunk);
    };
    gateway.process.stdout.on('data', keep);
    gateway.process.stderr.on('data', keep);
    gateway.exited = new Promise((resolve) => {
      gateway.process.once('exit', (code, signal) => resolve({ code, signal }));
    });
    process.once('exit', () => gateway.process.kill('SIGKILL'));
    try {
      await eventually(`${name} is ready`, () => gateway.isReady(), READY_WITHIN_MS);
    } catch (error) {
      await gateway.stop();
      throw new Error(`${error.message}\n${gateway.log}`);
    }
    return gateway;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get websocket() {
    return `ws://127.0.0.1:${this.port}/connection/websocket`;
  }

  get isRunning() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async isReady() {
    if (!this.isRunning) throw new Error(`${this.name} ended before it was ready`);
    try {
      return (await fetch(`http://127.0.0.1:${this.internalPort}/ready`)).status === 200;
    } catch {
      return false;
    }
  }

  // One call of the server API. Returns what is under "result"; throws what is under "error".
  async api(method, body) {
    const response = await fetch(`${this.url}/api/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-API-Key': this.apiKey },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method}: HTTP ${response.status} ${text}`);
    const answer = JSON.parse(text);
    if (answer.error) throw Object.assign(new Error(`${method}: ${text}`), { code: answer.error.code });
    return answer.result;
  }

  // The sum of a metric over its labels; `labels` is a fragment such as `code="3001"`.
  async metric(name, labels = '') {
    const text = await (await fetch(`http://127.0.0.1:${this.internalPort}/metrics`)).text();
    let sum = 0;
    for (const line of text.split('\n')) {
      const match = /^([a-z_]+)(\{[^}]*\})? ([-+.\deE]+)/.exec(line);
      if (match && match[1] === name && (match[2] ?? '').includes(labels)) sum += Number(match[3]);
    }
    return sum;
  }

  async stop(signal = 'SIGKILL') {
    if (this.isRunning) this.process.kill(signal);
    const end = await this.exited;
    await rm(this.directory, { recursive: true, force: true });
    return end;
  }
}

// Runs one of our binaries to its end; returns its output, throws when it fails.
export async function run(variable, args, input = '') {
  const child = spawn(binary(variable), args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  // A command that needs no input may end without having read any.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error(`${variable} ${args[0]} ended with ${code}: ${err}`);
  return out;
}
