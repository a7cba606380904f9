// An OAuth client of Google at an emulated Google: people consent, and Google's own client library uses what comes of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OAuth2Client } from 'google-auth-library';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const MAIL = 'https://www.googleapis.com/auth/gmail.readonly';
const ADA = { type: 'user', id: 'ada' };
let broker, google, connector;
const data = {
  clientId: '1-broker.apps.googleusercontent.com',
  clientSecret: 'google-client-secret',
  userScopes: ['openid', 'email', MAIL],
  hostedDomain: 'acme.example',
};

before(async () => {
  google = await startEmulator('google');
  broker = await startBroker({ flags: google.instead });
  broker.secrets.add(data.clientSecret);
  connector = await broker.connector({ type: 'google', service: 'google', name: 'mail', uid: 'google/mail', data });
  await google.redirect(`${broker.url}/callback/${connector.id}`);
});

after(async () => {
  await broker?.stop();
  await google?.stop();
});

/** Says yes on our page, and is somebody on Google's. */
async function consent(url, email) {
  const visitor = new Visitor();
  const page = await visitor.consent(url);
  const asked = new URL(page.url).searchParams;
  const form = page.forms.find(({ fields }) => fields.email === email);
  assert.ok(form, page.text);
  return { asked, done: await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields })) };
}

/** Whose mail it is, for whoever may read it. */
async function mailbox(token) {
  const client = new OAuth2Client();
  client.setCredentials({ access_token: token });
  const ask = async (path) => (await client.request({ url: google.url + path, retry: false })).data;
  assert.ok((await ask('/gmail/v1/users/me/labels')).labels.length > 0);
  return (await ask('/oauth2/v2/userinfo')).email;
}

test('a client that Google does not know is refused with the field', async () => {
  for (const [more, field] of [
    [{ clientId: '2-other.apps.googleusercontent.com' }, 'data.clientId'],
    [{ clientSecret: 'wrong' }, 'data.clientSecret'],
  ]) {
    const json = { type: 'google', service: 'google', name: 'x', data: { ...data, ...more }, projectId: broker.dev.projectId };
    const refused = (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
    assert.equal(refused.body.error.field, field, refused.text);
  }
});

test('somebody of another domain is not connected', async () => {
  const started = (await broker.authorize(connector.uid, ADA)).is(200).body;
  const { done } = await consent(started.url, 'eve@other.example');
  assert.match(done.text, /was not connected/);
  (await broker.token(connector.uid, ADA)).is(422, 'user_authorization_required');
});

test('a person\'s mail is read through Google\'s own client', async () => {
  const started = (await broker.authorize(connector.uid, ADA)).is(200).body;
  const { asked, done } = await consent(started.url, 'ada@acme.example');
  assert.deepEqual([asked.get('access_type'), asked.get('prompt'), asked.get('hd')], ['offline', 'consent', 'acme.example']);
  assert.equal(asked.get('include_granted_scopes'), null);
  assert.match(done.text, /is connected/);
  const first = (await broker.token(connector.uid, ADA)).is(200).body;
  assert.equal(await mailbox(first.token), 'ada@acme.example');
  assert.deepEqual(first.claims, { email: 'ada@acme.example', email_verified: true, hd: 'acme.example' });
  const renewed = (await broker.token(connector.uid, ADA, { validityBufferMs: 7_200_000 })).is(200).body;
  assert.notEqual(renewed.token, first.token);
  assert.equal(await mailbox(renewed.token), 'ada@acme.example');
  (await broker.token(connector.uid, ADA, { scopes: ['email', MAIL] })).is(200);
});

test('what is revoked is ended at Google too', async () => {
  const { token } = (await broker.token(connector.uid, ADA)).is(200).body;
  const counted = (await broker.revoke(connector.uid, { subject: ADA })).is(200).body;
  assert.equal(counted.providerRevoked, 1, JSON.stringify(counted));
  assert.notEqual(await mailbox(token), 'ada@acme.example', 'it is nobody\'s any more');
  (await broker.token(connector.uid, ADA)).is(422, 'user_authorization_required');
});
