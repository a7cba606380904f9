// An Okta organization at an emulated one: its own authorization server and a custom one, people and the application.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const ADA = { type: 'user', id: 'ada' };
let broker, okta, custom, own;
const data = { domain: 'acme.okta.com', clientSecret: 'okta-client-secret', rotation: { class: 'grace' } };
const people = ['openid', 'profile', 'offline_access'];
const CUSTOM = { ...data, authorizationServer: 'default', clientId: 'okta-custom', userScopes: [...people, 'orders'], appScopes: ['orders'] };
const OWN = { ...data, clientId: 'okta-org', userScopes: [...people, 'okta.users.read.self'] };

before(async () => {
  okta = await startEmulator('okta');
  broker = await startBroker({ flags: ['--provider-origin', `https://acme.okta.com=${okta.url}`] });
  broker.secrets.add(data.clientSecret);
  custom = await broker.connector({ type: 'okta', service: 'okta', name: 'custom', uid: 'okta/custom', data: CUSTOM });
  own = await broker.connector({ type: 'okta', service: 'okta', name: 'own', uid: 'okta/own', data: OWN });
  for (const { id } of [custom, own]) await okta.redirect(`${broker.url}/callback/${id}`);
});

after(async () => {
  await broker?.stop();
  await okta?.stop();
});

async function consent(connector) {
  const started = (await broker.authorize(connector.uid, ADA)).is(200).body;
  const visitor = new Visitor();
  const page = await visitor.consent(started.url);
  const form = page.forms.find(({ fields }) => fields.user_ref === '00uada');
  assert.ok(form, page.text);
  const done = await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields }));
  assert.match(done.text, /is connected/);
  return new URL(page.url).pathname;
}

const ask = async (path, token) => (await fetch(okta.url + path, { headers: { authorization: `Bearer ${token}` } })).json();

test('what Okta does not know is refused with the field', async () => {
  for (const [more, field] of [
    [{ authorizationServer: 'missing' }, 'data.authorizationServer'],
    [{ clientSecret: 'wrong' }, 'data.clientSecret'],
    [{ domain: 'acme-admin.okta.com' }, 'data.domain'],
  ]) {
    const json = { type: 'okta', service: 'okta', name: 'x', data: { ...CUSTOM, ...more }, projectId: broker.dev.projectId };
    const refused = (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
    assert.equal(refused.body.error.field, field, refused.text);
  }
});

test('a custom server gives tokens for a person, renewed by one that turns, and with less', async () => {
  assert.equal(await consent(custom), '/oauth2/default/v1/authorize');
  const first = (await broker.token(custom.uid, ADA)).is(200).body;
  assert.deepEqual([first.metadata.domain, first.metadata.issuer], ['acme.okta.com', 'https://acme.okta.com/oauth2/default']);
  const me = await ask('/oauth2/default/v1/userinfo', first.token);
  assert.deepEqual([me.email, me.sub], ['ada@acme.example', first.externalSubject]);
  for (let turn = 0; turn < 3; turn++) {
    const { token } = (await broker.token(custom.uid, ADA, { validityBufferMs: 7_200_000 })).is(200).body;
    assert.equal((await ask('/oauth2/default/v1/userinfo', token)).sub, me.sub);
  }
});

test('the application acts for itself at the custom server', async () => {
  const { token } = (await broker.token(custom.uid, { type: 'app' })).is(200).body;
  const form = new URLSearchParams({ token, client_id: CUSTOM.clientId, client_secret: CUSTOM.clientSecret });
  const seen = await (await fetch(`${okta.url}/oauth2/default/v1/introspect`, { method: 'POST', body: form })).json();
  assert.deepEqual([seen.active, seen.scope], [true, 'orders']);
});

test('the organization\'s own server gives tokens for Okta\'s API, and ends them', async () => {
  assert.equal(await consent(own), '/oauth2/v1/authorize');
  const given = (await broker.token(own.uid, ADA)).is(200).body;
  assert.equal(given.metadata.issuer, 'https://acme.okta.com');
  assert.equal((await ask('/api/v1/users/me', given.token)).profile.login, 'ada@acme.example');
  (await broker.revoke(own.uid, { subject: ADA })).is(200);
  assert.equal((await ask('/oauth2/v1/userinfo', given.token)).error, 'invalid_token');
  (await broker.token(own.uid, ADA)).is(422, 'user_authorization_required');
});
