// Runs a command while a gateway is up:
//   with_gateway.mjs CONFIG COMMAND ARG...
// where {url}, {websocket} and {key} in the arguments stand for what the gateway has.

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Gateway } from './gateway.mjs';

const [config, command, ...args] = process.argv.slice(2);
const gateway = await Gateway.start(await readFile(config, 'utf8'));
const values = { '{url}': gateway.url, '{websocket}': gateway.websocket, '{key}': gateway.apiKey };
const filled = args.map((arg) => arg.replace(/\{\w+\}/g, (name) => values[name] ?? name));
const child = spawn(command, filled, { stdio: 'inherit' });
const code = await new Promise((resolve) => child.once('exit', resolve));
if (code !== 0) process.stderr.write(gateway.log.slice(-4_000));
await gateway.stop();
process.exit(code ?? 1);
