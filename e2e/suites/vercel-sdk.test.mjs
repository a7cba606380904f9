// The official client of the management API, @vercel/sdk 1.28.35, which holds every answer against closed lists: a word that
// it does not know in one connector, and the whole team's list is none for it.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { Vercel } from '@vercel/sdk';
import { startBroker } from '../broker.mjs';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' });

/** A connector of each driver that the client's list has no word for. */
const OURS = [
  { service: 'google', type: 'google', data: { clientId: '1-try.apps.googleusercontent.com', clientSecret: 'hush' } },
  { service: 'drive-bot', type: 'google-service-account', data: { clientEmail: 'bot@acme.iam.gserviceaccount.com', privateKeyPem: PEM, scopes: ['https://www.googleapis.com/auth/drive.readonly'] } },
  { service: 'okta', type: 'okta', data: { domain: 'acme.okta.com', clientId: 'c', clientSecret: 'hush', userScopes: ['openid', 'offline_access'] } },
  { service: 'jira', type: 'atlassian', data: { clientId: 'c', clientSecret: 'hush' } },
];
const ORIGINS = ['https://oauth2.googleapis.com', 'https://acme.okta.com', 'https://auth.atlassian.com'];

let broker, dev, sdk, peer;

/** What each service says of a client that it knows: there is no such code; and of a key that it knows: a token. */
async function said(question, answer) {
  const about = await text(question);
  const known = question.url.endsWith('/.well-known/openid-configuration')
    ? { issuer: `https://acme.okta.com${question.url.split('/.well-known')[0]}` }
    : about.includes('assertion=') && { access_token: 'at', token_type: 'Bearer', expires_in: 3599 };
  answer.writeHead(known ? 200 : 400, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(known || { error: 'invalid_grant' }));
}

before(async () => {
  peer = createServer(said).listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const here = `http://127.0.0.1:${peer.address().port}`;
  broker = await startBroker({ flags: ORIGINS.flatMap((origin) => ['--provider-origin', `${origin}=${here}`]) });
  dev = broker.dev;
  sdk = new Vercel({ bearerToken: dev.accessToken, serverURL: dev.url });
  for (const one of OURS) (await broker.api('POST', '/v1/connect/connectors', { json: { ...one, name: one.type } })).is(201);
});

after(async () => {
  await broker?.stop();
  peer?.close();
});

test('the list of a team in which there is one of every driver of ours', async () => {
  const { connectors } = await sdk.connect.listConnectors({ teamId: dev.teamId });
  const kinds = Object.fromEntries(connectors.map(({ name, type }) => [name, type]));
  for (const { type } of OURS) assert.equal(kinds[type], 'custom', type);
  assert.equal(connectors.length, OURS.length + 1);
});

test('by the word that the client knows they are found, and by their own too', async () => {
  const found = async (type) => (await sdk.connect.listConnectors({ teamId: dev.teamId, type })).connectors.map(({ name }) => name).sort();
  assert.deepEqual(await found('custom'), OURS.map(({ type }) => type).sort());
  assert.deepEqual(await found('google'), ['google']);
  assert.equal((await found('oauth')).length, 1, 'the demo');
});

test('one of them, with what runs it beside the word', async () => {
  for (const { type } of OURS) {
    const { body } = (await broker.api('GET', `/v1/connect/connectors?search=${type}`)).is(200);
    const one = body.clients.find(({ name }) => name === type);
    assert.deepEqual([one.type, one.driver], ['custom', type]);
  }
});
