// A Slack app at an emulated Slack: installed through the pages, acted with through Slack's own client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LogLevel, WebClient } from '@slack/web-api';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
let broker, slack, connector;
const data = {
  clientId: '12345.67890',
  clientSecret: 'slack-client-secret',
  signingSecret: 'slack-signing-secret',
  botScopes: ['chat:write', 'channels:read'],
  userScopes: ['users:read'],
};

before(async () => {
  slack = await startEmulator('slack');
  broker = await startBroker({ flags: ['--provider-origin', `https://slack.com=${slack.url}`] });
  broker.secrets.add(data.clientSecret).add(data.signingSecret);
  connector = await broker.connector({ type: 'slack', service: 'slack', name: 'app', uid: 'slack/app', data });
  await slack.redirect(`${broker.url}/callback/${connector.id}`);
});

after(async () => {
  await broker?.stop();
  await slack?.stop();
});

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
