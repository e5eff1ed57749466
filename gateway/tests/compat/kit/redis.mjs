// A real redis-server of our own on a free port, and a door to it for the few commands that tests need.

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { eventually, freePort } from './gateway.mjs';

export class Redis {
  static async start() {
    const redis = new Redis();
    redis.port = await freePort();
    await redis.restart();
    return redis;
  }

  async restart() {
    this.process = spawn(
      'redis-server',
      ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--loglevel', 'warning'],
      { stdio: 'ignore' },
    );
    const { process: child } = this;
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    process.once('exit', () => child.kill('SIGKILL'));
    await eventually('redis answers', async () => (await this.command('PING').catch(() => '')) === '+PONG');
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  // Sends one inline command on a connection of its own; returns the first line of the answer.
  command(line) {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1');
      let answer = '';
      socket.setTimeout(5_000, () => socket.destroy(new Error('redis does not answer')));
      socket.once('error', reject);
      socket.once('connect', () => socket.write(`${line}\r\n`));
      socket.on('data', (chunk) => {
        answer += chunk;
        if (!answer.includes('\r\n')) return;
        socket.destroy();
        resolve(answer.split('\r\n')[0]);
      });
      socket.once('close', () => reject(new Error('redis hung up')));
    });
  }
}
