// Starts a peer program and talks to its control paths.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../broker.mjs';

const START_MS = 60_000;
const STOP_MS = 10_000;

const program = (name) => fileURLToPath(new URL(name, import.meta.url));

/** The certified authorization server. Its clients may be sent back to `redirects` and nowhere else. */
export async function startAuthorizationServer(redirects, env = {}, flags = []) {
  const words = [...redirects.flatMap((uri) => ['--redirect', uri]), ...flags];
  const { url: issuer, log, stop } = await start('authorization-server.mjs', words, env);
  const control = async (method, path, json) => {
    const answer = await fetch(issuer + path, { method, body: json && JSON.stringify(json) });
    return answer.json();
  };
  return {
    issuer,
    log,
    person: (hint) => control('PUT', '/_person', { hint }),
    ttl: (access) => control('PUT', '/_ttl', { access }),
    fault: (path, mode, more = {}) => control('PUT', '/_fault', { path, mode, ...more }),
    host: (origin, at) => control('PUT', '/_host', { origin, at }),
    client: (id, jwksUri) => control('PUT', '/_client', { id, jwksUri }),
    events: () => control('GET', '/_events'),
    forget: () => control('DELETE', '/_events'),
    withdrawGrants: () => control('DELETE', '/_grants'),
    stop,
  };
}

/** An MCP server whose tokens come from `issuer`. */
export async function startMcpServer(issuer) {
  const { url, log, stop } = await start('mcp-server.mjs', ['--issuer', issuer]);
  return { address: `${url}/mcp`, log, stop, seen: async () => (await fetch(`${url}/_seen`)).json() };
}

/** What goes to a provider goes to these paths of the emulator. */
const INSTEAD = {
  google: {
    'https://accounts.google.com': '',
    'https://oauth2.googleapis.com': '',
    'https://oauth2.googleapis.com/token': '/oauth2/token',
    'https://oauth2.googleapis.com/revoke': '/oauth2/revoke',
  },
};

/** An emulated provider: `github`, `slack`, `linear`, `google`, `microsoft` or `okta`. */
export async function startEmulator(service) {
  const { url, log, stop } = await start('emulator.mjs', ['--service', service]);
  const put = async (path, json) => (await fetch(url + path, { method: 'PUT', body: JSON.stringify(json) })).json();
  return {
    url,
    log,
    stop,
    instead: Object.entries(INSTEAD[service] ?? {}).flatMap(([from, path]) => ['--provider-origin', `${from}=${url}${path}`]),
    key: async () => (await fetch(`${url}/_key`)).text(),
    redirect: (uri) => put('/_redirect', { uri }),
    installer: (login, installation) => put('/_installer', { login, installation }),
    standing: (installation, is) => put('/_standing', { installation, is }),
    decided: (login) => put('/_decided', { login }),
    asked: async () => (await fetch(`${url}/_asked`)).json(),
    certificate: (cert) => put('/_certificate', { cert }),
    trust: (issuer, subject) => put('/_trusted', { issuer, subject }),
  };
}

async function start(name, flags, env = {}) {
  const port = await freePort();
  const words = [program(name), '--port', String(port), ...flags];
  const child = spawn(process.execPath, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => (log += chunk));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const late = sleep(START_MS, 'late', { ref: false });
  const ready = await Promise.race([once(child.stdout, 'data'), ended, late]);
  if (!Array.isArray(ready)) {
    child.kill('SIGKILL');
    throw new Error(`${name} ${ready === 'late' ? `says nothing within ${START_MS} ms` : `ended with ${ready}`}:\n${log}`);
  }
  const stop = async () => {
    child.kill('SIGTERM');
    const late = sleep(STOP_MS, 'late', { ref: false });
    if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL');
    await ended;
  };
  return { url: `http://127.0.0.1:${port}`, log: () => log, stop };
}
