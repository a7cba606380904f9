// How fast a team may ask, on a production server whose plan says so.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BINARY, freePort } from '../broker.mjs';
import { Visitor } from '../visitor.mjs';

const READS = 20;
const WRITES = 5;
let folder, child, url, token;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'carnet-rates-'));
  const port = await freePort();
  url = `http://localhost:${port}`;
  const config = `[usage]\nplan = "slow"\n\n[plans.slow]\nreads = ${READS}\nwrites = ${WRITES}\n`;
  await writeFile(join(folder, 'carnet.toml'), config);
  const words = ['serve', '--json', '--url', url, '--listen', `127.0.0.1:${port}`, '--data', join(folder, 'data'), '--config', 'carnet.toml'];
  child = spawn(BINARY, words, { cwd: folder, env: { PATH: process.env.PATH, HOME: folder }, stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = await once(child.stdout, 'data');
  const owner = new Visitor();
  const page = await owner.ask(JSON.parse(line).setupUrl);
  const [form] = page.forms;
  const filled = { ...form.fields, team: 'Acme', name: 'Ada', email: 'ada@acme.test', passphrase: 'correct horse battery' };
  const done = await owner.ask(form.action, { method: 'POST', form: filled });
  [token] = done.text.match(/crn_\w{36}/) ?? assert.fail(done.text);
});

after(async () => {
  if (child) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
  if (folder) await rm(folder, { recursive: true, force: true });
});

const ask = (method, path, json) =>
  fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(json && { 'content-type': 'application/json' }) },
    body: json && JSON.stringify(json),
  });

/** The first refusal, and what went before it. Each answer may come as late as it likes: the pace is let through meanwhile. */
async function untilRefused(method, path, json, most) {
  for (let asked = 0; asked < 20 * most; asked++) {
    const answer = await ask(method, path, json?.(asked));
    if (answer.status === 429) return { asked, answer };
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
  }
  return assert.fail(`${20 * most} ${method}s went through`);
}

async function refusal(answer, most, words) {
  assert.match(answer.headers.get('content-type'), /^application\/json/);
  const after = Number(answer.headers.get('retry-after'));
  assert.ok(Number.isInteger(after) && after >= 1 && after <= 60, `Retry-After: ${after}`);
  const { error } = await answer.json();
  assert.deepEqual([error.code, error.limit, error.retryAfter], ['rate_limited', most, after]);
  assert.match(error.message, words);
  return after;
}

test('case 76 rate-limit', async () => {
  const writes = await untilRefused('POST', '/v9/projects', (number) => ({ name: `project-${number}` }), WRITES);
  assert.ok(writes.asked >= WRITES, `${writes.asked} went through`);
  await refusal(writes.answer, WRITES, /writes a minute/);

  // What only looks is counted by itself.
  const reads = await untilRefused('GET', '/v9/projects', undefined, READS);
  assert.ok(reads.asked >= READS, `${reads.asked} went through`);
  const pause = await refusal(reads.answer, READS, /reads a minute/);

  // A request for a token is a read, and is refused before anything is looked up.
  for (;;) {
    const answer = await ask('POST', '/v1/connect/token/nothing%2Fthere', { subject: { type: 'app' } });
    if (answer.status === 404) continue;
    await refusal(answer, READS, /reads a minute/);
    break;
  }

  // Nobody without a credential is told how fast this team asks, and the pause that was named is enough.
  const stranger = await fetch(`${url}/v9/projects`);
  assert.equal(stranger.status, 401);
  await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  assert.equal((await ask('GET', '/v9/projects')).status, 200);
});
