// Starts a peer program and talks to its control paths.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../broker.mjs';

const PROGRAM = fileURLToPath(new URL('authorization-server.mjs', import.meta.url));

/** The certified authorization server. Its clients may be sent back to `redirects` and nowhere else. */
export async function startAuthorizationServer(redirects, env = {}) {
  const port = await freePort();
  const words = [PROGRAM, '--port', String(port), ...redirects.flatMap((uri) => ['--redirect', uri])];
  const child = spawn(process.execPath, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => (log += chunk));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const ready = await Promise.race([once(child.stdout, 'data'), ended]);
  if (!Array.isArray(ready)) throw new Error(`the authorization server ended with ${ready}:\n${log}`);
  const issuer = `http://127.0.0.1:${port}`;
  const control = async (method, path, json) => {
    const answer = await fetch(issuer + path, { method, body: json && JSON.stringify(json) });
    return answer.json();
  };
  return {
    issuer,
    log: () => log,
    person: (hint) => control('PUT', '/_person', { hint }),
    ttl: (access) => control('PUT', '/_ttl', { access }),
    fault: (path, mode, more = {}) => control('PUT', '/_fault', { path, mode, ...more }),
    client: (id, jwksUri) => control('PUT', '/_client', { id, jwksUri }),
    events: () => control('GET', '/_events'),
    forget: () => control('DELETE', '/_events'),
    withdrawGrants: () => control('DELETE', '/_grants'),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
