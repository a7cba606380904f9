// The official TypeScript client, unchanged, against this server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { startTypescriptClient } from '../clients.mjs';
import { Visitor } from '../visitor.mjs';

const HELLO = 'demo/hello';
const app = { subject: { type: 'app' } };
const user = (id) => ({ subject: { type: 'user', id } });
const RETURN = 'https://app.example.test/back';

let broker, client;

before(async () => {
  broker = await startBroker();
  client = startTypescriptClient(broker.dev);
});

after(async () => {
  await client?.stop();
  await broker?.stop();
});

/** The place in the audit log of the newest token. */
async function lastIssue() {
  const { events } = (await broker.api('GET', '/v1/audit?action=token.issue&limit=1')).is(200).body;
  return events[0].seq;
}

async function consent(params) {
  const started = await client.call('startAuthorization', HELLO, params, { callbackUrl: RETURN });
  const end = await new Visitor().consent(started.url, RETURN);
  assert.ok(end.url.startsWith(RETURN), `${end.status} ${end.url}\n${end.text}`);
  return started;
}

test('getToken and getTokenResponse give a token of the application that works at the provider', async () => {
  const token = await client.call('getToken', HELLO, app);
  const response = await client.call('getTokenResponse', HELLO, app);
  assert.equal(response.token, token);
  assert.ok(Number.isInteger(response.expiresAt) && response.expiresAt > Date.now());
  assert.deepEqual([response.connector.uid, response.connector.type], [HELLO, 'oauth']);
  const me = await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await me.json()).type, 'app');
});

test('forceRefresh asks the server again, and is recorded again', async () => {
  await client.call('getTokenResponse', HELLO, app);
  const before = await lastIssue();
  await client.call('getTokenResponse', HELLO, app);
  assert.equal(await lastIssue(), before, 'the client kept it');
  await client.call('getTokenResponse', HELLO, app, { forceRefresh: true });
  assert.ok((await lastIssue()) > before);
});

test('a user who has not consented is a UserAuthorizationRequiredError; after consent there is a token', async () => {
  await assert.rejects(client.call('getToken', HELLO, user('ts-alice')), (error) => {
    assert.deepEqual([error.name, error.code, error.status], ['UserAuthorizationRequiredError', 'user_authorization_required', 422]);
    assert.match(error.message, /consent/);
    return true;
  });
  const started = await consent(user('ts-alice'));
  for (const name of ['url', 'request', 'verifier']) assert.equal(typeof started[name], 'string', name);
  assert.ok(started.expiresAt > Date.now());
  assert.equal(started.connector.uid, HELLO);
  assert.equal(typeof (await client.call('getToken', HELLO, user('ts-alice'))), 'string');
});

test('startAuthorization takes a device code, a lifetime and a prompt', async () => {
  const options = { deviceCode: true, expiresInMs: 60_000, prompt: 'consent' };
  const started = await client.call('startAuthorization', HELLO, user('ts-device'), options);
  assert.equal(typeof started.deviceCode, 'string');
  assert.ok(Math.abs(started.expiresAt - Date.now() - 60_000) < 5000);
});

test('in detached mode the person enters the code, wherever there is a browser', async () => {
  const detached = startTypescriptClient(broker.dev, { VERCEL_CONNECT_INTERACTIVE_AUTH_MODE: 'detached' });
  try {
    const started = await detached.call('startAuthorization', HELLO, user('ts-detached'), { callbackUrl: RETURN });
    assert.deepEqual([started.url, typeof started.deviceCode], [`${broker.url}/device`, 'string']);
    await assert.rejects(detached.call('getToken', HELLO, user('ts-detached')), { code: 'user_authorization_required' });
    const visitor = new Visitor();
    const [form] = (await visitor.open(started.url)).forms;
    const entered = await visitor.ask(form.action, { method: 'POST', form: { ...form.fields, code: started.deviceCode } });
    const end = await visitor.consent((await visitor.follow(entered)).url);
    assert.match(end.text, /is connected to/);
    assert.equal(typeof (await detached.call('getToken', HELLO, user('ts-detached'), { forceRefresh: true })), 'string');
  } finally {
    await detached.stop();
  }
});

test('experimental_startInstallation says that there is nothing to install', async () => {
  await assert.rejects(client.call('experimental_startInstallation', HELLO, {}, { callbackUrl: RETURN }), (error) => {
    assert.deepEqual([error.code, error.status], ['unresolved_token', 422]);
    assert.match(error.message, /nothing to install/);
    return true;
  });
});

test('revokeToken ends the grant', async () => {
  await consent(user('ts-bob'));
  const token = await client.call('getToken', HELLO, user('ts-bob'));
  await client.call('revokeToken', HELLO, user('ts-bob'));
  await assert.rejects(client.call('getToken', HELLO, user('ts-bob')), { code: 'user_authorization_required' });
  const me = await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(me.status, 401);
});

test('getConnectorMetadata describes the connector without its secrets', async () => {
  const metadata = await client.call('getConnectorMetadata', HELLO);
  assert.deepEqual([metadata.uid, metadata.type, metadata.service], [HELLO, 'oauth', 'demo']);
  assert.match(metadata.id, /^scl_/);
  assert.equal(typeof metadata.vendor, 'object');
  assert.doesNotMatch(JSON.stringify(metadata), /clientSecret/);
});

test('refusals keep their code', async () => {
  await assert.rejects(client.call('getToken', 'nope/nope', app), { name: 'ConnectError', code: 'not_found', status: 404 });
  const elsewhere = { ...app, installationId: 'sci_0000000000000000000000' };
  await assert.rejects(client.call('getToken', HELLO, elsewhere), { name: 'ConnectorInstallationRequiredError', code: 'client_installation_required' });
  await assert.rejects(client.call('getToken', HELLO, app, { vercelToken: 'nonsense', forceRefresh: true }), { code: 'unauthorized', status: 401 });
});
