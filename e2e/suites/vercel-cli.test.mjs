// The official CLI, version 60.1.3 as npm has it, in a process of its own for every command. It is pointed at the broker by
// its own configuration, which `carnet doctor --vercel-cli` writes, or by its flag `--api`. Each command: what it prints,
// how it exits, and what is there afterwards.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BINARY, startBroker } from '../broker.mjs';
import { Visitor } from '../visitor.mjs';
import { png } from '../wire/png.mjs';

const VERCEL = fileURLToPath(new URL('../vercel-cli/node_modules/vercel/dist/vc.js', import.meta.url));
const HELLO = 'demo/hello';

let broker, dev, home, linked, bare, configuration;

before(async () => {
  await stat(VERCEL).catch(() => assert.fail('run `npm install --no-save --omit=optional --ignore-scripts` in e2e/vercel-cli first; cargo xtask test does'));
  broker = await startBroker();
  dev = broker.dev;
  home = await mkdtemp(join(tmpdir(), 'carnet-vercel-cli-'));
  [linked, bare] = [join(home, 'linked'), join(home, 'bare')];
  for (const folder of [linked, bare]) await mkdir(folder);
  configuration = join(home, 'configuration');
});

after(async () => {
  await broker?.stop();
  if (home) await rm(home, { recursive: true, force: true });
});

/** Runs a program to its end, or until it has said something. Nothing of this machine's own settings reaches it. */
function run(program, words, { cwd, env = {}, until }) {
  const child = spawn(program, words, { cwd, env: { PATH: process.env.PATH, HOME: join(home, 'h'), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', () => until?.test(stdout + stderr) && child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, all: `exit ${code}\n--- stdout\n${stdout}--- stderr\n${stderr}` }));
  });
}

/** The official CLI in a folder that is linked to the project, or in another. */
async function vercel(words, { cwd = linked, config = ['-Q', configuration], until } = {}) {
  const env = { XDG_DATA_HOME: join(home, 'h/d'), VERCEL_TELEMETRY_DISABLED: '1', NO_UPDATE_NOTIFIER: '1', CI: '1', NO_COLOR: '1', TERM: 'dumb' };
  const done = await run(process.execPath, [VERCEL, ...words, ...config], { cwd, env, until });
  const exits = (code) => {
    assert.equal(done.code, code, `vercel ${words.join(' ')}: ${done.all}`);
    return { ...done, json: () => JSON.parse(done.stdout) };
  };
  return { ...done, exits };
}

const path = (connector, rest = '') => `/v1/connect/connectors/${encodeURIComponent(connector)}${rest}`;
const shown = async (connector) => (await broker.api('GET', path(connector))).is(200).body;
const link = async (connector) => (await broker.api('GET', path(connector, `/projects/${dev.projectId}`))).body;

describe('pointed here', () => {
  test('by the configuration that `carnet doctor --vercel-cli` writes', async () => {
    const env = { CARNET_URL: broker.url, CARNET_TOKEN: dev.accessToken };
    const done = await run(BINARY, ['doctor', `--vercel-cli=${configuration}`, '--json'], { cwd: bare, env });
    assert.equal(done.code, 0, done.all);
    const told = JSON.parse(done.stdout);
    assert.deepEqual([told.api, told.teamId], [broker.url, dev.teamId]);
    assert.equal((await stat(join(configuration, 'auth.json'))).mode & 0o777, 0o600);
    assert.equal((await vercel(['whoami'], { cwd: bare })).exits(0).stdout.trim(), 'dev');
  });

  test('by nothing but --api and a token', async () => {
    const done = (await vercel(['whoami'], { cwd: bare, config: ['--api', broker.url, '-t', dev.accessToken] })).exits(0);
    assert.equal(done.stdout.trim(), 'dev');
  });

  test('with a token that is none it fails, and says so', async () => {
    const config = ['--api', broker.url, '-t', 'crn_000000000000000000000000000000000000'];
    const done = await vercel(['connect', 'list', '--all-projects'], { cwd: bare, config });
    assert.notEqual(done.code, 0, done.all);
    assert.match(done.stderr, /token|log ?in/i, done.all);
  });
});

describe('the account and the folder', () => {
  test('teams ls', async () => {
    const done = (await vercel(['teams', 'ls'], { cwd: bare })).exits(0);
    assert.match(done.stdout + done.stderr, new RegExp(`\\b${dev.teamSlug}\\b`));
  });

  test('link', async () => {
    const done = (await vercel(['link', '--yes', '--project', dev.projectName, '--scope', dev.teamSlug])).exits(0);
    assert.match(done.stderr + done.stdout, /Linked/);
    const { projectId, orgId, projectName } = JSON.parse(await readFile(join(linked, '.vercel/project.json'), 'utf8'));
    assert.deepEqual({ projectId, orgId, projectName }, { projectId: dev.projectId, orgId: dev.teamId, projectName: dev.projectName });
    assert.match(await readFile(join(linked, '.env.local'), 'utf8'), /^VERCEL_OIDC_TOKEN=/m);
  });

  test('link makes a project that is not there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'carnet-link-'));
    try {
      const done = (await vercel(['link', '--yes', '--project', 'made-by-link', '--scope', dev.teamSlug], { cwd: folder })).exits(0);
      const { body } = (await broker.api('GET', '/v9/projects/made-by-link')).is(200);
      const { projectId } = JSON.parse(await readFile(join(folder, '.vercel/project.json'), 'utf8'));
      assert.equal(projectId, body.id, done.all);
    } finally {
      await rm(folder, { recursive: true, force: true });
      await broker.api('DELETE', '/v9/projects/made-by-link');
    }
  });

  test('env pull writes an identity that is good for a token (case 66)', async () => {
    (await vercel(['env', 'pull', 'pulled.env', '--yes'])).exits(0);
    const [, token] = (await readFile(join(linked, 'pulled.env'), 'utf8')).match(/^VERCEL_OIDC_TOKEN="?([^"\n]+)"?$/m);
    (await broker.token(HELLO, { type: 'app' }, {}, token)).is(200);
  });

  test('project token', async () => {
    const done = (await vercel(['project', 'token', dev.projectName, '--format=json'])).exits(0);
    const { token } = done.json();
    assert.equal(token.split('.').length, 3, done.all);
    (await broker.token(HELLO, { type: 'app' }, {}, token)).is(200);
  });
});

describe('connect list', () => {
  test('case 37 cli-bootstrap: unlinked, a table of all with their projects', async () => {
    const done = (await vercel(['connect', 'list', '--all-projects'], { cwd: bare })).exits(0);
    const table = done.stdout + done.stderr;
    for (const word of ['UID', 'ID', 'Name', 'Type', 'Projects', HELLO, dev.projectName]) assert.ok(table.includes(word), `${word}: ${done.all}`);
  });

  test('as JSON, in the linked project', async () => {
    const { connectors } = (await vercel(['connect', 'list', '--format', 'json'])).exits(0).json();
    const hello = await shown(HELLO);
    assert.deepEqual(connectors.map(({ id, uid, name, type }) => ({ id, uid, name, type })), [{ id: hello.id, uid: HELLO, name: 'hello', type: 'oauth' }]);
  });

  test('a page at a time, with the hint for the next, and by what it filters', async () => {
    for (const name of ['page-a', 'page-b']) (await vercel(['connect', 'create', 'demo', '--name', name, '--yes'])).exits(0);
    const first = (await vercel(['connect', 'list', '--all-projects', '--limit', '1'])).exits(0);
    const [, cursor] = (first.stdout + first.stderr).match(/--next (\S+?)[`'"]?\s/) ?? assert.fail(first.all);
    const names = [];
    for (let next = ''; next !== undefined; ) {
      const page = (await vercel(['connect', 'list', '--all-projects', '--limit', '1', '--json', ...(next ? ['--next', next] : [])])).exits(0).json();
      names.push(...page.connectors.map(({ name }) => name));
      if (names.length === 1) assert.equal(page.cursor, cursor);
      next = page.cursor ?? undefined;
    }
    assert.deepEqual([...names].sort(), ['hello', 'page-a', 'page-b']);
    const found = async (...flags) => (await vercel(['connect', 'list', '--all-projects', '--json', ...flags])).exits(0).json().connectors.map(({ name }) => name).sort();
    assert.deepEqual(await found('--search', 'PAGE-A'), ['page-a']);
    assert.deepEqual(await found('--type', 'api-key'), []);
    assert.deepEqual(await found('--service', 'demo', '--type', 'oauth'), ['hello', 'page-a', 'page-b']);
  });
});

describe('connect create and update', () => {
  test('a service that this server manages needs no more than its name', async () => {
    const done = (await vercel(['connect', 'create', 'demo', '--name', 'managed one', '--json'])).exits(0).json();
    assert.deepEqual([done.uid, done.type, done.name, done.service], ['demo/managed-one', 'oauth', 'managed one', 'demo']);
    const made = await shown(done.id);
    assert.equal(made.creationMode, 'managed');
    assert.deepEqual((await link(done.id)).environments, ['production', 'preview', 'development']);
    (await broker.token(done.id, { type: 'app' })).is(200);
  });

  test('for people it says what it made', async () => {
    const done = (await vercel(['connect', 'create', 'demo', '--name', 'told', '--yes'])).exits(0);
    const { id } = await shown('demo/told');
    assert.match(done.stdout + done.stderr, new RegExp(`connector created.*${id}`), done.all);
  });

  test('case 44 a service with several ways, and nobody to choose: the usual one, with the page where it is registered', async () => {
    const page = /https?:\/\/\S+\/register\/\S+/;
    const done = await vercel(['connect', 'create', 'slack', '--name', 'case-44'], { until: page });
    assert.doesNotMatch(done.stdout + done.stderr, /--connection-method/, done.all);
    const [address] = (done.stdout + done.stderr).match(page) ?? assert.fail(done.all);
    assert.equal(new URL(address).origin, new URL(broker.url).origin);
  });

  test('case 48 by its own data, at an address that the catalog does not know', async () => {
    await writeFile(join(linked, 'data.json'), JSON.stringify({ subjectType: 'app', values: [{ value: 'k3y-of-the-suite' }] }));
    const words = ['connect', 'create', 'keys.example.test', '--name', 'key', '--data', '@data.json', '--connector-type', 'api-key', '--json'];
    const done = (await vercel(words)).exits(0).json();
    assert.deepEqual([done.uid, done.type], ['keys.example.test/key', 'api-key']);
    assert.equal((await broker.token(done.id, { type: 'app' })).is(200).body.token, 'k3y-of-the-suite');
  });

  test('what cannot work is refused with the reason, and nothing is left behind', async () => {
    const twice = await vercel(['connect', 'create', 'demo', '--name', 'told', '--yes']);
    assert.equal(twice.code, 1, twice.all);
    assert.match(twice.stderr + twice.stdout, /already/, twice.all);
    const unknown = await vercel(['connect', 'create', 'martian', '--name', 'm', '--yes']);
    assert.equal(unknown.code, 1, unknown.all);
    const { connectors } = (await vercel(['connect', 'list', '--all-projects', '--search', 'martian', '--json'])).exits(0).json();
    assert.deepEqual(connectors, []);
  });

  test('the help of a service has its methods, and data without anything in it is answered with the schema', async () => {
    const help = (await vercel(['connect', 'create', 'api-key', '--help'])).exits(0);
    assert.match(help.stdout + help.stderr, /Connection methods for API key/, help.all);
    const empty = (await vercel(['connect', 'create', 'api-key', '--name', 'empty', '--data', ''])).exits(1);
    assert.match(empty.stdout + empty.stderr, /"subjectType"/, empty.all);
  });

  test('colours and a picture', async () => {
    await writeFile(join(linked, 'icon.png'), png());
    const words = ['connect', 'update', HELLO, '--icon', 'icon.png', '--background-color', '#112233', '--accent-color', '#FF0066', '--json'];
    const done = (await vercel(words)).exits(0).json();
    const now = await shown(HELLO);
    assert.deepEqual([done.icon, done.backgroundColor, done.accentColor], [now.icon, '#112233', '#FF0066']);
    const picture = await fetch(`${broker.url}/pictures/${now.id}/${now.icon}`);
    assert.deepEqual(Buffer.from(await picture.arrayBuffer()), await readFile(join(linked, 'icon.png')));
    const branded = (await vercel(['connect', 'create', 'demo', '--name', 'branded', '--icon', 'icon.png', '--accent-color', '#010203', '--json'])).exits(0).json();
    assert.deepEqual([branded.icon, branded.accentColor], [now.icon, '#010203']);
    const missing = await vercel(['connect', 'update', 'nope/nope', '--accent-color', '#010203']);
    assert.equal(missing.code, 1, missing.all);
    assert.match(missing.stderr, /not found/i, missing.all);
  });
});

describe('connect token', () => {
  test('for the application: the token and nothing else, or the answer as it came', async () => {
    const plain = (await vercel(['connect', 'token', HELLO, '--subject', 'app'])).exits(0);
    const { token, connector } = (await vercel(['connect', 'token', HELLO, '--subject', 'app', '--json'])).exits(0).json();
    assert.equal(plain.stdout.trim(), token);
    assert.equal(connector.uid, HELLO);
  });

  test('for oneself, before and after consent', async () => {
    const before = await vercel(['connect', 'token', HELLO]);
    assert.equal(before.code, 1, before.all);
    assert.match(before.stderr, /User authorization required/, before.all);
    assert.match(before.stderr, /authorize\/demo%2Fhello/, before.all);
    const { url } = (await broker.authorize(HELLO, { type: 'user', id: dev.userId }, { returnUrl: 'https://app.example.test/back' }, dev.accessToken)).is(200).body;
    await new Visitor().consent(url, 'https://app.example.test/back');
    const after = (await vercel(['connect', 'token', HELLO])).exits(0);
    const me = await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${after.stdout.trim()}` } });
    assert.equal((await me.json()).type, 'person');
  });

  test('what is not there, and what cannot be had', async () => {
    const nothing = await vercel(['connect', 'token', 'nope/nope', '--subject', 'app']);
    assert.equal(nothing.code, 1, nothing.all);
    assert.match(nothing.stderr, /not found/i, nothing.all);
    const scopes = await vercel(['connect', 'token', HELLO, '--subject', 'app', '--scopes', 'made:up']);
    assert.equal(scopes.code, 1, scopes.all);
    assert.equal(scopes.stdout, '', scopes.all);
  });
});

describe('connect attach and detach', () => {
  const both = ['--yes', '--json'];

  test('case 55 replaces the set of environments, and says when there is nothing to do', async () => {
    const { id } = await shown('demo/managed-one');
    const narrowed = (await vercel(['connect', 'attach', 'demo/managed-one', '-e', 'production', ...both])).exits(0).json();
    assert.deepEqual([narrowed.clientId, narrowed.uid, narrowed.projectId, narrowed.environments], [id, 'demo/managed-one', dev.projectId, ['production']]);
    assert.deepEqual((await link(id)).environments, ['production']);
    const again = (await vercel(['connect', 'attach', 'demo/managed-one', '-e', 'production', ...both])).exits(0).json();
    assert.equal(again.unchanged, true);
    (await vercel(['connect', 'attach', 'demo/managed-one', ...both])).exits(0);
    assert.deepEqual([...(await link(id)).environments].sort(), ['development', 'preview', 'production']);
  });

  test('case 57 to an environment that the team made', async () => {
    const { id: qa } = (await broker.api('POST', `/projects/${dev.projectId}/custom-environments`, { json: { slug: 'qa' } })).body;
    (await vercel(['connect', 'attach', 'demo/managed-one', '-e', 'qa', ...both])).exits(0);
    assert.deepEqual((await link('demo/managed-one')).environments, [qa]);
    const unknown = await vercel(['connect', 'attach', 'demo/managed-one', '-e', 'martian', ...both]);
    assert.equal(unknown.code, 1, unknown.all);
  });

  test('provider events are refused before anything is changed', async () => {
    const done = await vercel(['connect', 'attach', HELLO, '--triggers', ...both]);
    assert.equal(done.code, 1, done.all);
    assert.ok(!('triggerDestinations' in (await shown(HELLO))));
  });

  test('case 60 detach, once and again', async () => {
    const gone = (await vercel(['connect', 'detach', 'demo/managed-one', ...both])).exits(0).json();
    assert.equal(gone.detached, true);
    (await broker.api('GET', path('demo/managed-one', `/projects/${dev.projectId}`))).is(404, 'not_found');
    assert.equal((await vercel(['connect', 'detach', 'demo/managed-one', ...both])).exits(0).json().unchanged, true);
  });
});

describe('connect contacts, revoke-tokens, open and remove', () => {
  test('contacts: nothing has phone lines', async () => {
    const done = await vercel(['connect', 'contacts', 'add', HELLO, '--phone-number', '+12025551234']);
    assert.equal(done.code, 1, done.all);
    assert.match(done.stderr, /no phone lines/, done.all);
  });

  test('revoke-tokens --my-tokens leaves those of others', async () => {
    const subject = { type: 'user', id: 'somebody-else' };
    const { url } = (await broker.authorize(HELLO, subject, { returnUrl: 'https://app.example.test/back' })).is(200).body;
    await new Visitor().consent(url, 'https://app.example.test/back');
    const done = (await vercel(['connect', 'revoke-tokens', HELLO, '--my-tokens', '--yes', '--json'])).exits(0).json();
    assert.deepEqual([done.scope, done.deleted, done.providerRevoked, done.providerFailed, done.supportsRevocation], ['mine', 1, 1, 0, true]);
    (await broker.token(HELLO, subject)).is(200);
    assert.equal((await vercel(['connect', 'token', HELLO])).code, 1);
  });

  test('revoke-tokens --all-tokens', async () => {
    const done = (await vercel(['connect', 'revoke-tokens', HELLO, '--all-tokens', '--yes'])).exits(0);
    assert.ok(!/undefined/.test(done.all), done.all);
    (await broker.token(HELLO, { type: 'user', id: 'somebody-else' })).is(422, 'user_authorization_required');
  });

  test('open prints an address, without a browser', async () => {
    const done = (await vercel(['connect', 'open', HELLO, '--json'])).exits(0).json();
    assert.match(done.url, new RegExp(`/${dev.teamSlug}/`));
  });

  test('case 61 remove asks for --disconnect-all while projects are attached, and then leaves nothing', async () => {
    const { id } = await shown('demo/told');
    const refused = await vercel(['connect', 'remove', 'demo/told', '--yes']);
    assert.equal(refused.code, 1, refused.all);
    assert.match(refused.stderr, /1 connected project/, refused.all);
    await shown('demo/told');
    const done = (await vercel(['connect', 'remove', 'demo/told', '--yes', '-a', '--json'])).exits(0).json();
    assert.deepEqual(done, { id, uid: 'demo/told', removed: true });
    for (const rest of ['', '/projects', '/grants']) (await broker.api('GET', path(id, rest))).is(404, 'not_found');
  });
});
