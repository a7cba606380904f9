// A `carnet dev` of our own: started on a free port in an empty folder, asked over HTTP, ended by its process id.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Description } from './described.mjs';

/** The program under test. */
export const BINARY = process.env.CARNET_BIN ?? fileURLToPath(new URL('../target/debug/carnet', import.meta.url));
const START_MS = 60_000;
/** No answer of a broker takes longer; one that does is a fault to be told, and not a suite that stands still. */
const ANSWER_MS = 120_000;

/** A port nobody listens on at the moment. It is none of those that the system gives to connections, so that between now
 * and its use no connection of a neighbour can take it. */
export async function freePort() {
  for (;;) {
    const port = 12_000 + randomInt(20_000);
    const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    const free = await new Promise((resolve) => server.once('listening', () => resolve(true)).once('error', () => resolve(false)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Starts a broker. `flags` are further words of the command line, `env` further variables; `port` one that a peer had to know
 * before. */
export async function startBroker({ flags = [], env = {}, folderName = 'data', port: wanted } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'carnet-e2e-'));
  const data = join(folder, folderName);
  const port = wanted ?? (await freePort());
  const database = process.env.CARNET_TEST_DATABASE_URL;
  const store = database ? ['--database-url', database] : [];
  const child = spawn(BINARY, ['dev', '--data', data, '--port', String(port), '--no-open', ...store, ...flags], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  let failure;
  child.on('error', (error) => (failure = error));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);

  for (const start = Date.now(); ; await sleep(50)) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`carnet dev ended with ${child.exitCode}:\n${log}`);
    if (await ready(port, data)) break;
    if (Date.now() - start > START_MS) {
      kill();
      throw new Error(`carnet dev is not ready after ${START_MS} ms:\n${log}`);
    }
  }
  const dev = JSON.parse(await readFile(join(data, 'dev.json'), 'utf8'));
  const stop = async () => {
    child.kill('SIGTERM');
    const late = sleep(20_000, 'late', { ref: false });
    if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL');
    await ended;
    process.removeListener('exit', kill);
    await rm(folder, { recursive: true, force: true });
    return child.exitCode;
  };
  const description = await Description.of(dev.url);
  return new Broker(dev, { folder, data, pid: child.pid, description, log: () => log, stop });
}

async function ready(port, data) {
  try {
    await access(join(data, 'dev.json'));
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(10_000) })).ok;
  } catch {
    return false;
  }
}

/** One answer of the HTTP API. */
class Answer {
  constructor(status, headers, text) {
    this.status = status;
    this.headers = headers;
    this.text = text;
    this.body = /json/.test(headers.get('content-type') ?? '') ? JSON.parse(text) : undefined;
  }

  get code() {
    return this.body?.error?.code;
  }

  /** Fails with the whole answer unless the status, and for refusals the code, is as expected. */
  is(status, code) {
    const got = code ? [this.status, this.code] : this.status;
    assert.deepEqual(got, code ? [status, code] : status, `answered ${this.status} ${this.text}`);
    if (this.status >= 400) assert.equal(typeof this.body?.error?.message, 'string', this.text);
    return this;
  }
}

class Broker {
  /** What must never be in an answer of the management API. */
  secrets = new Set();
  #requests = new Set();

  constructor(dev, process) {
    Object.assign(this, process);
    this.dev = dev;
    this.url = dev.url;
  }

  /** A request with what holds for all of them checked, the description among it. `as` is a bearer; `null` sends none. */
  async api(method, path, { as = this.dev.accessToken, json, raw, headers = {} } = {}) {
    const sent = { ...(as && { authorization: `Bearer ${as}` }), ...headers };
    if (json !== undefined) sent['content-type'] ??= 'application/json';
    const body = json === undefined ? raw : JSON.stringify(json);
    const got = await fetch(this.url + path, { method, headers: sent, body, redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS) });
    const answer = new Answer(got.status, got.headers, await got.text());
    const told = `${method} ${path} -> ${answer.status} ${answer.text}`;
    const id = got.headers.get('x-request-id');
    assert.match(id ?? '', /^req_[0-9A-Za-z]+$/, told);
    assert.ok(!this.#requests.has(id), `request id given twice: ${id}`);
    this.#requests.add(id);
    if (answer.status === 204) {
      assert.equal(got.headers.get('content-type'), null, `204 with a content type makes the official CLI repeat it: ${told}`);
      assert.equal(answer.text, '', told);
    }
    this.description.check(method, path, answer);
    if (!path.startsWith('/v1/connect/token/')) {
      for (const secret of this.secrets) assert.ok(!answer.text.includes(secret), `a secret in an answer: ${told}`);
    }
    return answer;
  }

  /** A token of a connector for a subject, asked as the development workload. */
  token(connector, subject, more = {}, as = this.dev.oidcToken) {
    const json = { subject, scopes: ['*'], ...more };
    return this.api('POST', `/v1/connect/token/${encodeURIComponent(connector)}`, { as, json });
  }

  /** A consent request. */
  authorize(connector, subject, more = {}, as = this.dev.oidcToken) {
    const json = { subject, scopes: ['*'], ...more };
    return this.api('POST', `/v1/connect/authorize/${encodeURIComponent(connector)}`, { as, json });
  }

  revoke(connector, json, as = this.dev.oidcToken) {
    return this.api('DELETE', `/v1/connect/connectors/${encodeURIComponent(connector)}/tokens`, { as, json });
  }

  /** Creates a connector, linked to the development project in all environments unless told otherwise. */
  async connector(json) {
    const answer = await this.api('POST', '/v1/connect/connectors', { json: { projectId: this.dev.projectId, ...json } });
    return answer.is(201).body;
  }

  grants(connector) {
    return this.api('GET', `/v1/connect/connectors/${encodeURIComponent(connector)}/grants`);
  }
}
