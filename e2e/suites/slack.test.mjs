// A Slack app at an emulated Slack: installed through the pages, acted with through Slack's own client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { LogLevel, WebClient } from '@slack/web-api';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
let broker, slack, connector, exchange;
const data = {
  clientId: '12345.67890',
  clientSecret: 'slack-client-secret',
  signingSecret: 'slack-signing-secret',
  botScopes: ['chat:write', 'channels:read'],
  userScopes: ['users:read'],
};

before(async () => {
  slack = await startEmulator('slack');
  exchange = await startExchange();
  const method = 'api/oauth.v2.exchange';
  broker = await startBroker({
    flags: ['--provider-origin', `https://slack.com=${slack.url}`, '--provider-origin', `https://slack.com/${method}=${exchange.url}/${method}`],
  });
  broker.secrets.add(data.clientSecret).add(data.signingSecret);
  connector = await broker.connector({ type: 'slack', service: 'slack', name: 'app', uid: 'slack/app', data });
  await slack.redirect(`${broker.url}/callback/${connector.id}`);
});

after(async () => {
  await broker?.stop();
  await slack?.stop();
  await exchange?.stop();
});

/** `oauth.v2.exchange`, which the emulator does not have: each long-lived token once, while `rotates`. */
async function startExchange() {
  const peer = { rotates: true, asked: [] };
  const server = createServer(async (request, answer) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const token = form.get('token');
    const error = (code) => answer.end(JSON.stringify({ ok: false, error: code }));
    answer.setHeader('content-type', 'application/json');
    if (form.get('client_id') !== data.clientId || form.get('client_secret') !== data.clientSecret) return error('bad_client_secret');
    if (!peer.rotates) return error('token_rotation_not_enabled');
    if (peer.asked.includes(token)) return error('token_already_exchanged');
    peer.asked.push(token);
    answer.end(JSON.stringify({ ok: true, access_token: `xoxe.${token}-new`, refresh_token: `xoxe-1-${token}`, expires_in: 43200 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  peer.url = `http://127.0.0.1:${server.address().port}`;
  peer.stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return peer;
}

const client = (token) => new WebClient(token, { slackApiUrl: `${slack.url}/api/`, retryConfig: { retries: 0 }, logLevel: LogLevel.ERROR });

/** Says yes on our page, and is somebody on Slack's. */
async function walk(url) {
  const visitor = new Visitor();
  const page = await visitor.consent(url);
  const form = page.forms.find(({ action }) => action.endsWith('/oauth/v2/authorize/callback'));
  assert.ok(form, page.text);
  return { asked: form.fields, done: await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields })) };
}

test('a client that Slack does not know is refused', async () => {
  const json = { type: 'slack', service: 'slack', name: 'x', data: { ...data, clientSecret: 'wrong' }, projectId: broker.dev.projectId };
  (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
});

test('an installation leaves the bot\'s token, which Slack\'s client can use', async () => {
  (await broker.token(connector.uid, APP)).is(422, 'client_installation_required');
  const started = (await broker.api('POST', `/v1/connect/install/${encodeURIComponent(connector.uid)}`, { json: {} })).is(200).body;
  const { asked, done } = await walk(started.url);
  assert.deepEqual([asked.scope.split(',').sort(), asked.user_scope], [['channels:read', 'chat:write'], '']);
  assert.match(done.text, /is installed in/);
  const { data: made } = (await broker.api('GET', `/v1/connect/result/${started.verifier}`)).is(200).body;
  const token = (await broker.token(connector.uid, APP)).is(200).body;
  assert.equal(token.installationId, made.installationId);
  const bot = await client(token.token).auth.test();
  assert.deepEqual([bot.team_id, bot.user_id], [token.tenantId, token.metadata.botUserId]);
  const posted = await client(token.token).chat.postMessage({ channel: 'general', text: 'héllo' });
  assert.ok(posted.ok);
  const named = (await broker.token(connector.uid, APP, { installationId: token.tenantId })).is(200).body;
  assert.equal(named.token, token.token);
});

test('what was not installed is not given, and less cannot be had than was', async () => {
  const more = (await broker.token(connector.uid, APP, { scopes: ['admin'] })).is(422, 'client_installation_required');
  assert.deepEqual(more.body.error.missing, ['admin']);
  const ways = more.body.error.next.map(({ command }) => command);
  assert.deepEqual(ways, [`carnet update ${connector.uid} --data @FILE`, `carnet token ${connector.uid} --subject app --yes`]);
  (await broker.token(connector.uid, APP, { scopes: ['channels:read'] })).is(422, 'invalid_scope');
  const token = (await broker.token(connector.uid, APP, { scopes: ['channels:read', 'chat:write'] })).is(200).body;
  const refused = await client(token.token).users.list({}).catch(({ data }) => data);
  assert.equal(refused.error, 'missing_scope');
});

test('a person\'s token is the person\'s', async () => {
  const alice = { type: 'user', id: 'alice' };
  const started = (await broker.authorize(connector.uid, alice)).is(200).body;
  const { asked } = await walk(started.url);
  assert.deepEqual([asked.scope, asked.user_scope], ['', 'users:read']);
  const token = (await broker.token(connector.uid, alice)).is(200).body;
  assert.match(token.token, /^xoxp-/);
  assert.equal((await client(token.token).auth.test()).user_id, token.externalSubject);
});

test('a person\'s token from before rotation is exchanged at its first use, and once', async () => {
  const rotating = await broker.connector({ type: 'slack', service: 'slack', name: 'rotating', uid: 'slack/rotating', data: { ...data, tokenRotation: true } });
  assert.equal(rotating.data.tokenRotation, true);
  const brought = (id) => ({
    accessToken: `xoxp-of-${id}`,
    expiresAt: Date.now() + 3_600_000,
    subject: { type: 'user', id },
    environment: 'development',
    scopes: ['users:read'],
  });
  const path = `/v1/connect/token/${encodeURIComponent(rotating.uid)}/import`;
  const done = (await broker.api('POST', path, { json: { tokens: [brought('ada'), brought('bob')] } })).is(200).body;
  assert.equal(done.imported, 2, JSON.stringify(done));
  const ada = { type: 'user', id: 'ada' };
  const first = (await broker.token(rotating.uid, ada)).is(200).body;
  assert.equal(first.token, 'xoxe.xoxp-of-ada-new');
  assert.equal((await broker.token(rotating.uid, ada)).is(200).body.token, first.token);
  assert.deepEqual(exchange.asked, ['xoxp-of-ada']);

  // An app that does not rotate after all loses nobody's token.
  exchange.rotates = false;
  const bob = { type: 'user', id: 'bob' };
  const refused = (await broker.token(rotating.uid, bob)).is(422, 'invalid_connector');
  assert.equal(refused.body.error.field, 'data.tokenRotation', refused.text);
  (await broker.api('PATCH', `/v1/connect/connectors/${rotating.id}`, { json: { data: { tokenRotation: false } } })).is(200);
  assert.equal((await broker.token(rotating.uid, bob)).is(200).body.token, 'xoxp-of-bob');
  assert.deepEqual(exchange.asked, ['xoxp-of-ada']);
});
