// A GitHub App at an emulated GitHub: installed through the pages, narrowed, acted with through octokit.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Octokit } from '@octokit/core';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
let broker, github, connector, privateKeyPem;
const data = { appId: 4242, appSlug: 'broker', clientId: 'Iv1.broker', clientSecret: 'github-client-secret' };

before(async () => {
  github = await startEmulator('github');
  const origins = ['https://github.com', 'https://api.github.com'];
  broker = await startBroker({ flags: origins.flatMap((origin) => ['--provider-origin', `${origin}=${github.url}`]) });
  privateKeyPem = await github.key();
  broker.secrets.add(privateKeyPem).add(data.clientSecret);
  connector = await broker.connector({ type: 'github', service: 'github', name: 'app', uid: 'github/app', data: { ...data, privateKeyPem } });
  await github.redirect(`${broker.url}/callback/${connector.id}`);
});

after(async () => {
  await broker?.stop();
  await github?.stop();
});

const octokit = (token) => new Octokit({ auth: token, baseUrl: github.url, log: { debug() {}, info() {}, warn() {}, error() {} } });
const path = (what) => `/v1/connect/${what}/${encodeURIComponent(connector.uid)}`;
const status = (call) => call.then(({ status }) => status, (error) => error.status);

async function install(login, installation) {
  await github.installer(login, installation);
  const started = (await broker.api('POST', path('install'), { json: {} })).is(200).body;
  const page = await new Visitor().consent(started.url);
  return { page, result: (await broker.api('GET', `/v1/connect/result/${started.verifier}`)).is(200).body };
}

test('a key that is another app\'s is refused with the field', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  for (const [type, format] of [['pkcs1', 'pem'], ['pkcs8', 'pem']]) {
    const privateKeyPem = privateKey.export({ type, format });
    const json = { type: 'github', service: 'github', name: 'other', data: { ...data, privateKeyPem }, projectId: broker.dev.projectId };
    const refused = (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
    assert.equal(refused.body.error.field, 'data.privateKeyPem', refused.text);
  }
});

test('nothing can be had before the app is installed, and an installation of somebody else is not believed', async () => {
  (await broker.token(connector.uid, APP)).is(422, 'client_installation_required');
  const { page, result } = await install('hubot', 100);
  assert.match(page.text, /was not connected/);
  assert.equal(result.status, 'error');
  (await broker.token(connector.uid, APP)).is(422, 'client_installation_required');
});

test('an installed app has tokens that octokit can use', async () => {
  const { page, result } = await install('octocat', 100);
  assert.match(page.text, /is installed in/);
  const token = (await broker.token(connector.uid, APP)).is(200).body;
  assert.equal(token.installationId, result.data.installationId);
  assert.equal(token.metadata.repository_selection, 'all');
  const api = octokit(token.token);
  assert.equal((await api.request('GET /repos/{owner}/{repo}', { owner: 'acme', repo: 'api' })).data.name, 'api');
  const made = await api.request('POST /repos/{owner}/{repo}/issues', { owner: 'acme', repo: 'web', title: 'héllo ✓' });
  assert.equal(made.status, 201);
});

test('a narrowed token reaches what was asked and nothing else', async () => {
  const narrow = (more) => [{ type: 'github_app_installation', ...more }];
  const authorizationDetails = narrow({ repositories: ['api'], permissions: ['issues:write'] });
  const token = (await broker.token(connector.uid, APP, { authorizationDetails })).is(200).body;
  assert.deepEqual(token.metadata.permissions, { issues: 'write' });
  const api = octokit(token.token);
  const issue = (repo) => status(api.request('POST /repos/{owner}/{repo}/issues', { owner: 'acme', repo, title: 'x' }));
  assert.equal(await issue('api'), 201);
  assert.ok((await issue('web')) >= 403);
  const scoped = (await broker.token(connector.uid, APP, { scopes: ['contents:read'] })).is(200).body;
  assert.deepEqual(scoped.metadata.permissions, { contents: 'read' });
  // Wider than the app may, misspelt, and what only other providers know.
  (await broker.token(connector.uid, APP, { scopes: ['contents:write'] })).is(422, 'provider_refused');
  (await broker.token(connector.uid, APP, { scopes: ['read'] })).is(422, 'unresolved_token');
  (await broker.token(connector.uid, APP, { authorizationDetails: narrow({ repository: 'api' }) })).is(422, 'unresolved_token');
  (await broker.token(connector.uid, APP, { authorizationDetails: [{ type: 'other' }] })).is(422, 'invalid_target');
});

test('several organizations are told apart by name, by number and by the detail', async () => {
  const { result } = await install('octocat', 101);
  const org = (name) => ({ authorizationDetails: [{ type: 'github_app_installation', org: name }] });
  for (const more of [{ installationId: result.data.installationId }, { installationId: '101' }, org('octocat')]) {
    const token = (await broker.token(connector.uid, APP, more)).is(200).body;
    assert.equal(token.metadata.repository_selection, 'selected');
    assert.equal((await octokit(token.token).request('GET /repos/{owner}/{repo}', { owner: 'octocat', repo: 'dot' })).status, 200);
  }
  assert.equal((await broker.token(connector.uid, APP, org('acme'))).is(200).body.metadata.repository_selection, 'all');
  (await broker.token(connector.uid, APP, org('nobody'))).is(422, 'client_installation_required');
});

test('a person is acted for with a token of the person', async () => {
  const alice = { type: 'user', id: 'alice' };
  (await broker.token(connector.uid, alice)).is(422, 'user_authorization_required');
  const started = (await broker.authorize(connector.uid, alice)).is(200).body;
  const visitor = new Visitor();
  const page = await visitor.consent(started.url);
  const form = page.forms.find(({ fields }) => fields.login === 'octocat');
  const done = await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields }));
  assert.match(done.text, /octocat/);
  const token = (await broker.token(connector.uid, alice)).is(200).body;
  assert.equal((await octokit(token.token).request('GET /user')).data.login, 'octocat');
  (await broker.token(connector.uid, alice, { scopes: ['repo'] })).is(422);
});

test('a person to whom no browser can be sent back enters a code at GitHub', async () => {
  const json = { ...data, privateKeyPem, deviceFlow: true };
  const { uid } = await broker.connector({ type: 'github', service: 'github', name: 'by code', uid: 'github/by-code', data: json });
  const dora = { type: 'user', id: 'dora' };
  const started = (await broker.authorize(uid, dora)).is(200).body;
  const visitor = new Visitor();
  await visitor.decide(await visitor.open(started.url), 'allow', 'nowhere').catch(() => undefined);
  const page = await visitor.ask(started.url);
  assert.match(page.text, /WDJB-MJHT/);
  assert.match(page.text, /login\/device/);
  (await broker.token(uid, dora)).is(422, 'user_authorization_required');
  await github.decided('octocat');
  for (const start = Date.now(); ; await sleep(250)) {
    const answer = await broker.token(uid, dora);
    if (answer.status === 200) {
      assert.equal((await octokit(answer.body.token).request('GET /user')).data.login, 'octocat');
      break;
    }
    assert.ok(Date.now() - start < 30_000, `still ${answer.text}`);
  }
});

test('an installation that is suspended or removed in the middle is said to be, and what was made for it is dead', async () => {
  const ask = (more) => broker.token(connector.uid, APP, { installationId: '101', ...more });
  (await ask({})).is(200);
  await github.standing(101, 'suspended');
  const suspended = (await ask({ scopes: ['issues:write'] })).is(422, 'provider_refused');
  assert.equal(suspended.body.error.reason, 'installation_suspended', suspended.text);
  (await ask({})).is(422, 'provider_refused');
  await github.standing(101, 'there');
  (await ask({})).is(200);
  await github.standing(101, 'gone');
  (await ask({ scopes: ['issues:write'] })).is(422, 'client_installation_required');
  (await ask({})).is(422, 'client_installation_required');
  (await broker.token(connector.uid, APP, { installationId: '100' })).is(200);
});
