// The official TypeScript client in a process of its own, as an app would run it: the redirect as a preload, the
// workload identity in the environment. Calls go in as lines of JSON, results come out.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Starts the client. `call('getToken', …)` answers as the client's function does, errors with their class. */
export function startTypescriptClient({ url, oidcToken }, more = {}) {
  const child = spawn(process.execPath, ['--import', path('redirect.mjs'), path('typescript-client.mjs')], {
    env: { PATH: process.env.PATH, CARNET_URL: url, VERCEL_OIDC_TOKEN: oidcToken, ...more },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()(JSON.parse(line)));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const call = async (name, ...words) => {
    const answered = new Promise((resolve) => waiting.push(resolve));
    child.stdin.write(`${JSON.stringify({ name, words })}\n`);
    const { value, error } = await answered;
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  };
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return { call, stop };
}
