// Linear as its file in the catalog says, at an emulated Linear: installed in a workspace and acting as itself, and acting
// for a person; renewed, ended, and used through Linear's own client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LinearClient } from '@linear/sdk';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
/** Longer than a token of the emulator lives: each request is a refresh. */
const ANEW = { validityBufferMs: 4_000_000 };
const RETURN = 'https://app.example.test/back';
let broker, linear, agent, people;

before(async () => {
  linear = await startEmulator('linear');
  const origins = ['https://linear.app', 'https://api.linear.app'];
  broker = await startBroker({ flags: origins.flatMap((origin) => ['--provider-origin', `${origin}=${linear.url}`]) });
  broker.secrets.add('linear-client-secret');
  const make = async (connectionMethod, actor) => {
    const data = { clientId: `linear-${actor}`, clientSecret: 'linear-client-secret' };
    const made = await broker.connector({ service: 'linear', name: connectionMethod, connectionMethod, data });
    await linear.redirect(`${broker.url}/callback/${made.id}`);
    return made;
  };
  agent = await make('agent', 'app');
  people = await make('oauth', 'user');
});

after(async () => {
  await broker?.stop();
  await linear?.stop();
});

const client = (accessToken) => new LinearClient({ accessToken, apiUrl: `${linear.url}/graphql` });

/** The workspace of a token; the client's own question asks for more than the emulator has. */
async function workspace(token) {
  const { data } = await client(token).client.rawRequest('{ organization { id name } teams { nodes { id } } }');
  return data;
}

/** Says yes on our page, and on Linear's. */
async function walk(url, until) {
  const visitor = new Visitor();
  const page = await visitor.consent(url);
  const form = page.forms.find(({ action }) => action.endsWith('/oauth/authorize/callback'));
  assert.ok(form, page.text);
  return visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields }), until);
}

test('an app that is installed acts as itself in the workspace that Linear names', async () => {
  (await broker.token(agent.uid, APP)).is(422, 'client_installation_required');
  const started = (await broker.api('POST', `/v1/connect/install/${encodeURIComponent(agent.uid)}`, { json: {} })).is(200).body;
  const done = await walk(started.url);
  assert.match(done.text, /is installed in/);
  assert.match(done.text, /Acme/);
  const token = (await broker.token(agent.uid, APP)).is(200).body;
  const api = client(token.token);
  const { organization, teams } = await workspace(token.token);
  assert.deepEqual([organization.id, organization.name], [token.tenantId, 'Acme']);
  assert.equal((await api.viewer).id, token.externalSubject);
  const made = await api.createIssue({ teamId: teams.nodes[0].id, title: 'héllo ✓' });
  assert.ok(made.success);
  const named = (await broker.token(agent.uid, APP, { installationId: token.tenantId })).is(200).body;
  assert.equal(named.token, token.token);
});

test('its token is renewed by a refresh token that works once', async () => {
  const first = (await broker.token(agent.uid, APP, ANEW)).is(200).body;
  const second = (await broker.token(agent.uid, APP, ANEW)).is(200).body;
  assert.notEqual(second.token, first.token);
  assert.equal((await workspace(second.token)).organization.name, 'Acme');
});

test('a person is acted for, known by the account, and ended at Linear', async () => {
  const alice = { type: 'user', id: 'alice' };
  const { url } = (await broker.authorize(people.uid, alice, { returnUrl: RETURN })).is(200).body;
  const end = await walk(url, RETURN);
  assert.match(end.url, /status=success/, end.text);
  const token = (await broker.token(people.uid, alice)).is(200).body;
  assert.equal((await client(token.token).viewer).id, token.externalSubject);
  const counted = (await broker.revoke(people.uid, { subject: alice })).is(200).body;
  assert.deepEqual([counted.deleted, counted.providerRevoked, counted.providerFailed], [1, 1, 0]);
  await assert.rejects(async () => await client(token.token).viewer);
  (await broker.token(people.uid, alice)).is(422, 'user_authorization_required');
});
