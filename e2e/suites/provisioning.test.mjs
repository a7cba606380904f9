// A workload that finds no connector makes one for itself, as the official client asks for on its first failure: to a
// server that says who guards it, for its own project and environment, and only where its team lets it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { startAuthorizationServer, startMcpServer } from '../peers/start.mjs';

const UID = 'mcp.example.test/agent';

let broker, dev, peer, mcp, other, otherToken;

before(async () => {
  broker = await startBroker();
  dev = broker.dev;
  peer = await startAuthorizationServer([`${broker.url}/callback`], {}, ['--full']);
  mcp = await startMcpServer(peer.issuer);
  other = (await broker.api('POST', '/v9/projects', { json: { name: 'second' } })).is(200).body;
  otherToken = (await broker.api('POST', `/v1/projects/${other.id}/token`)).is(200).body.token;
});

after(async () => {
  await broker?.stop();
  await mcp?.stop();
  await peer?.stop();
});

const provision = (uid = UID, as = dev.oidcToken, serverUrl = mcp.address) =>
  broker.api('POST', '/v1/connect/connectors/managed/oauth', { json: { serverUrl, uid }, as });
const rules = (project) => `/v1/projects/${project}/provisioning`;
const of = (user) => ({ type: 'user', id: user });

test('what the first failure looks like, and what the retry after provisioning finds', async () => {
  (await broker.token(UID, of('ann'))).is(404, 'not_found');
  const made = (await provision()).is(201).body;
  assert.deepEqual([made.uid, made.type, made.createdBy], [UID, 'oauth', { type: 'project', id: dev.projectId, environment: 'development' }]);
  (await broker.token(UID, of('ann'))).is(422, 'user_authorization_required');
  const link = (await broker.api('GET', `/v1/connect/connectors/${made.id}/projects/${dev.projectId}`)).is(200).body;
  assert.deepEqual(link.environments, ['development'], 'where the workload runs, and nowhere else');
  assert.equal((await provision()).is(200).body.id, made.id, 'a second time changes nothing');
});

test('another project links itself to what a workload made, and never to what a person made', async () => {
  const unlinked = (await broker.token(UID, of('ann'), {}, otherToken)).is(403, 'forbidden');
  assert.match(unlinked.body.error.message, /connector is not linked to this project/i);
  (await provision(UID, otherToken, `${mcp.address}/elsewhere`)).is(403, 'forbidden');
  (await provision(UID, otherToken)).is(200);
  (await broker.token(UID, of('ann'), {}, otherToken)).is(422, 'user_authorization_required');

  const json = { service: mcp.address, name: 'by hand', uid: 'mcp.example.test/by-hand', projectId: dev.projectId };
  (await broker.api('POST', '/v1/connect/connectors', { json })).is(201);
  (await provision(json.uid)).is(200);
  const refused = (await provision(json.uid, otherToken)).is(403, 'forbidden');
  assert.match(refused.body.error.message, /connector is not linked to this project/i);
  (await broker.token(json.uid, of('ann'), {}, otherToken)).is(403, 'forbidden');
});

test('a UID that belongs to another kind of connector is a conflict, and one that cannot be a UID is refused', async () => {
  const keys = await broker.connector({ type: 'api-key', service: 'keys.example.test', name: 'key', data: { subjectType: 'app', values: [{ value: 'k' }] } });
  assert.match((await provision(keys.uid)).is(409, 'conflict').body.error.message, /not an OAuth connector/i);
  for (const uid of ['', ' ', 'scl_x/y', 'store_a/b', 'vc/x', 'api.vercel.com/x', 'no-slash', 'a/%2e']) (await provision(uid)).is(400, 'invalid_request');
  for (const url of ['mcp.example.test', 'file:///etc/passwd', '']) (await provision('mcp.example.test/new', dev.oidcToken, url)).is(400, 'invalid_request');
});

test('the team says in which environments, and an access token is for people', async () => {
  (await provision('mcp.example.test/person', dev.accessToken)).is(403, 'forbidden');
  assert.deepEqual((await broker.api('GET', rules(dev.projectId))).is(200).body, { environments: ['development'] });
  (await broker.api('PUT', rules(dev.projectId), { json: { environments: [] } })).is(200);
  const refused = (await provision('mcp.example.test/more')).is(403, 'forbidden');
  assert.match(refused.body.error.message, /Project OIDC connector provisioning is not allowed/);
  (await broker.token('mcp.example.test/more', of('ann'))).is(404, 'not_found');
  (await provision('mcp.example.test/more', otherToken)).is(201);
  (await broker.api('PUT', rules(dev.projectId), { json: { environments: ['martian'] } })).is(400, 'invalid_request');
  (await broker.api('PUT', rules(dev.projectId), { json: { environments: ['production', 'development'] } })).is(200);
  (await provision('mcp.example.test/more')).is(200);
  const { events } = (await broker.api('GET', '/v1/audit?limit=100')).is(200).body;
  const seen = events.map(({ action, outcome }) => `${action} ${outcome}`);
  for (const want of ['project.provisioning.put success', 'connector.create success', 'management.reject denied']) assert.ok(seen.includes(want), want);
});
