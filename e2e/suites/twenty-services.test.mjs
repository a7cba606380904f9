// Twenty services of the catalog by the command line alone: every step is the one that the command before it said would
// come next, as it was printed, until there is a token or a page for a person. Nobody looks anything up meanwhile.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BINARY, startBroker } from '../broker.mjs';
import { Visitor } from '../visitor.mjs';

/** Services that are asked about a key before it is kept, and what they say of a good one. */
const PROBED = {
  '/bot123:secret-of-telegram/getMe': { ok: true, result: { id: 123, is_bot: true, username: 'broker_bot' } },
  '/api/users/@me': { id: '99', username: 'broker' },
  '/v1/account': { id: 'acct_1' },
  '/4a6b0a1e-6c1c-4b5f-9a0e-2f3d6c1b7a55/v2.0/.well-known/openid-configuration': { token_endpoint: 'https://login.microsoftonline.com' },
  '/.well-known/openid-configuration': { issuer: 'https://acme.okta.com' },
};
/** Where a client is known by its secret: only its code, or its refresh token, is none. */
const TOKENS = ['/token', '/oauth/token'];
const ORIGINS = [
  'https://api.telegram.org',
  'https://discord.com',
  'https://api.stripe.com',
  'https://oauth2.googleapis.com',
  'https://auth.atlassian.com',
  'https://acme.okta.com',
  'https://login.microsoftonline.com',
];

/** A service, the way that is taken where there are several, what only the service gives, and where it ends. */
const TABLE = [
  { service: 'openai', end: 'token' },
  { service: 'groq', end: 'token' },
  { service: 'sendgrid', end: 'token' },
  { service: 'anthropic', end: 'token' },
  { service: 'resend', way: 'api-key', end: 'token' },
  { service: 'datadog', end: 'token', scopes: 'api-key' },
  { service: 'telegram', key: '123:secret-of-telegram', end: 'token' },
  { service: 'stripe', way: 'api-key', end: 'token' },
  { service: 'discord', way: 'bot-token', end: 'token' },
  { service: 'discord', way: 'bot', end: 'install', says: 'Discord' },
  { service: 'linear', way: 'oauth', end: 'consent', says: 'Read everything in your workspace' },
  { service: 'linear', way: 'agent', end: 'install', says: 'Have issues assigned to the app' },
  { service: 'notion', way: 'workspace', end: 'install', says: 'Notion' },
  { service: 'google', way: 'oauth', end: 'consent', says: 'Google' },
  { service: 'microsoft', way: 'oauth', end: 'consent', says: 'Microsoft' },
  { service: 'okta', way: 'org-server', end: 'consent', says: 'Okta' },
  // By drivers of their own, which ask the service about the client when the connector is made.
  { service: 'google', way: 'client', key: '1-try.apps.googleusercontent.com', end: 'consent', says: 'See your e-mail address' },
  { service: 'jira', way: 'app', end: 'consent', says: 'Create, change and delete issues' },
  { service: 'confluence', way: 'app', end: 'consent', says: 'Create, change and delete pages' },
  { service: 'stripe', way: 'connect', end: 'install', says: 'manage and delete everything in your account' },
  { service: 'okta', way: 'app', end: 'consent', says: 'Keep this access while you are away' },
  { service: 'microsoft', way: 'entra', key: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', end: 'consent', says: 'Sign you in and read your profile' },
  { service: 'microsoft-teams', way: 'entra', key: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', end: 'consent', says: 'Send messages in channels in your name' },
  { service: 'zendesk', way: 'oauth', end: 'consent', says: 'delete' },
  { service: 'hubspot', way: 'oauth', end: 'consent', says: 'HubSpot' },
  { service: 'dropbox', end: 'consent', says: 'Dropbox' },
  { service: 'gitlab', way: 'oauth', end: 'consent', says: 'GitLab' },
  { service: 'asana', way: 'oauth', end: 'consent', says: 'Asana' },
  // Where an application is registered from here, nothing is brought along: a page does it with the person.
  { service: 'github', end: 'register' },
  { service: 'slack', end: 'register' },
  // What cannot work without the service itself ends with what is missing, by name, and the page where it is had.
  { service: 'salesforce', way: 'jwt', end: 'missing', needs: ['consumerKey', 'appUsername', 'privateKeyPem'], page: 'https://login.salesforce.com' },
  { service: 'snowflake', way: 'key-pair', end: 'missing', needs: ['username', 'privateKeyPem'], page: 'https://docs.snowflake.com/en/user-guide/key-pair-auth' },
];

let broker, peer;

before(async () => {
  const server = createServer((question, answer) => {
    const said = TOKENS.includes(question.url) ? { error: 'invalid_grant' } : PROBED[question.url];
    answer.writeHead(said?.error ? 400 : said ? 200 : 401, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(said ?? {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  peer = server;
  const here = `http://127.0.0.1:${server.address().port}`;
  broker = await startBroker({ flags: ORIGINS.flatMap((origin) => ['--provider-origin', `${origin}=${here}`]) });
});

after(async () => {
  await broker?.stop();
  peer?.close();
});

/** A command line as it was printed, with a document as its answer. `stdin` is what is pasted. */
async function run(line, stdin = '') {
  const words = [...line.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)].map(([, quoted, plain]) => plain ?? quoted.replaceAll("'\\''", "'"));
  assert.equal(words.shift(), 'carnet', line);
  const env = { PATH: process.env.PATH, HOME: broker.folder, CARNET_URL: broker.url, CARNET_TOKEN: broker.dev.accessToken, CARNET_PROJECT: broker.dev.projectId };
  const child = spawn(BINARY, [...words, '--json'], { cwd: broker.folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  child.stdin.on('error', () => {}).end(stdin);
  const [code] = await once(child, 'close');
  const body = JSON.parse(out || '{}');
  return { code, body, error: body.error, told: `${line}\n${out}${err}` };
}

/** The command that comes next, among those that were said: the one by this way, if it is named there. */
function next({ error, told }, way) {
  const commands = error.next.filter(({ command }) => command.startsWith('carnet create '));
  const found = commands.find(({ command }) => command.includes(`--connection-method ${way}`)) ?? commands[0];
  assert.ok(found, `nothing comes next: ${told}`);
  return found;
}

/** Fills dots in. */
const filled = (value, text) => JSON.parse(JSON.stringify(value).replaceAll('…', text));

describe('from the first command to the first token, or to what a person must do', () => {
  for (const [place, row] of TABLE.entries()) {
    const { service, way, end } = row;
    test(`${service}${way ? ` by ${way}` : ''}: ${end}`, async () => {
      let did = await run(`carnet create ${service} --name try-${place}`);
      if (way) {
        assert.equal(did.code, 2, did.told);
        did = await run(next(did, way).command);
      }
      if (end === 'register') {
        assert.equal(did.code, 5, did.told);
        assert.equal(did.error.code, 'registration_required', did.told);
        const [page] = did.error.next;
        assert.ok(page.command.startsWith(`${broker.url}/register/reg_`), did.told);
        assert.equal((await fetch(page.command, { redirect: 'manual' })).status, 303, 'to where one signs in');
        return;
      }
      // What only the service gives is named, with the page where it is had.
      assert.notEqual(did.code, 0, did.told);
      assert.equal(did.error.code, 'invalid_connector', did.told);
      const [page] = did.error.next;
      assert.match(page.command, /^https:\/\//, did.told);
      const { command, when } = next(did, way);
      if (end === 'missing') {
        for (const name of row.needs) assert.ok(when.includes(`"${name}"`) && did.error.message.includes(name), did.told);
        assert.equal(page.command, row.page);
        return;
      }
      const secret = row.key ?? `secret-of-${service}-${place}`;
      if (command.endsWith('--key @-')) {
        did = await run(command, `${secret}\n`);
      } else {
        const object = JSON.parse(when.match(/\{.*\}/)[0]);
        await writeFile(join(broker.folder, 'brought.json'), JSON.stringify(filled(object, secret)));
        did = await run(command.replace('@FILE', '@brought.json'));
      }
      assert.equal(did.code, 0, did.told);
      assert.ok(!did.told.includes(secret), did.told);
      const { uid } = did.body;
      const asked = await run(`carnet token ${uid} --print${row.scopes ? ` --scopes ${row.scopes}` : ''}`);
      if (end === 'token') {
        assert.equal(asked.code, 0, asked.told);
        assert.equal(asked.body.token, secret);
        return;
      }
      assert.equal(asked.code, 5, asked.told);
      const link = asked.error.next.find(({ command }) => command.startsWith(broker.url));
      assert.ok(link, asked.told);
      const there = await new Visitor().open(link.command);
      assert.equal(there.status, 200, there.text);
      assert.ok(there.text.includes(row.says), `${row.says} is not said:\n${there.text}`);
      assert.ok(there.decision('allow'), 'it asks');
    });
  }

  test('what has to be filled in is said with a value to replace', async () => {
    const did = await run('carnet create zendesk --name try --connection-method oauth');
    assert.equal(did.error.field, 'params.subdomain', did.told);
    assert.match(next(did, 'oauth').command, / --param subdomain=acme$/);
  });

  test('what the catalog knows and nobody can connect says why', async () => {
    const did = await run('carnet create figma --name try --connection-method oauth');
    assert.notEqual(did.code, 0);
    assert.match(did.error.message, /cannot be connected yet/, did.told);
  });

  test('each service is shown with the same commands', async () => {
    for (const { service, way } of TABLE) {
      const { body } = await run(`carnet catalog show ${service}`);
      assert.ok(body.connectionMethods.some(({ connectionMethod }) => !way || connectionMethod === way), service);
    }
  });
});
