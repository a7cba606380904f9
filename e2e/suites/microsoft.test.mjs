// An application of Microsoft Entra at an emulated one: without a secret, for people and for itself, used through the
// client of Microsoft Graph. And the other way round: a workload whose identity Carnet issues is taken by Microsoft's own
// library as a federated credential.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ConfidentialClientApplication } from '@azure/msal-node';
import { Client } from '@microsoft/microsoft-graph-client';
import { startBroker } from '../broker.mjs';
import { certificateFor } from '../peers/certificate.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const ADA = { type: 'user', id: 'ada' };
const APP = { type: 'app' };
let broker, microsoft, connector;
const data = {
  tenantId: '11111111-2222-3333-4444-555555555555',
  clientId: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  userScopes: ['openid', 'profile', 'offline_access', 'User.Read', 'ChannelMessage.Send'],
};

before(async () => {
  microsoft = await startEmulator('microsoft');
  broker = await startBroker({ flags: ['--provider-origin', `https://login.microsoftonline.com=${microsoft.url}`] });
  connector = await broker.connector({ type: 'microsoft-entra', service: 'microsoft-teams', name: 'teams', uid: 'microsoft-teams/teams', data });
  await microsoft.redirect(`${broker.url}/callback/${connector.id}`);
  const { issuer, subject } = connector.data.federatedCredential;
  await microsoft.trust(issuer, subject);
});

after(async () => {
  await broker?.stop();
  await microsoft?.stop();
});

/** Graph as Microsoft's own client asks it, which gives tokens to Microsoft's hosts alone. */
async function graph(path, token) {
  const real = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const url = new URL(input.url ?? input);
    return url.origin === 'https://graph.microsoft.com' ? real(new URL(url.pathname, microsoft.url), init) : real(input, init);
  };
  try {
    return await Client.init({ authProvider: (done) => done(null, token) }).api(path).get();
  } finally {
    globalThis.fetch = real;
  }
}

/** What would go to Entra goes to the emulator; the rest is the library's own. */
const there = (method) => async (url, options) => {
  const { origin, pathname, search } = new URL(url);
  assert.equal(origin, 'https://login.microsoftonline.com');
  const answer = await fetch(new URL(pathname + search, microsoft.url), { method, headers: options?.headers, body: options?.body });
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.json() };
};

test('a directory and an application that Entra does not know are refused with the field', async () => {
  for (const [more, field] of [
    [{ tenantId: '00000000-0000-0000-0000-000000000000' }, 'data.tenantId'],
    [{ clientSecret: 'wrong' }, 'data.clientSecret'],
  ]) {
    const json = { type: 'microsoft-entra', service: 'microsoft', name: 'x', data: { ...data, ...more }, projectId: broker.dev.projectId };
    const refused = (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
    assert.equal(refused.body.error.field, field, refused.text);
  }
});

test('the application proves itself by the connector\'s own key', async () => {
  const { token, metadata } = (await broker.token(connector.uid, APP)).is(200).body;
  assert.match(token, /^microsoft_/);
  assert.equal(metadata.tenantId, data.tenantId);
});

test('a federated credential that is not known yet is waited for', async () => {
  const other = await broker.connector({ type: 'microsoft-entra', service: 'microsoft', name: 'other', uid: 'microsoft/other', data });
  const waited = (await broker.token(other.uid, APP)).is(503, 'provider_unavailable');
  assert.ok(Number(waited.headers.get('retry-after')) > 30, waited.headers.get('retry-after'));
});

test('a person is acted for through the client of Graph', async () => {
  const started = (await broker.authorize(connector.uid, ADA)).is(200).body;
  const visitor = new Visitor();
  const page = await visitor.consent(started.url);
  assert.equal(new URL(page.url).pathname, `/${data.tenantId}/oauth2/v2.0/authorize`);
  const form = page.forms.find(({ fields }) => fields.email === 'ada@acme.example');
  const done = await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: form.fields }));
  assert.match(done.text, /is connected/);
  const first = (await broker.token(connector.uid, ADA)).is(200).body;
  assert.equal(first.claims.tid, data.tenantId);
  assert.equal((await graph('/me', first.token)).mail, 'ada@acme.example');
  const renewed = (await broker.token(connector.uid, ADA, { validityBufferMs: 7_200_000 })).is(200).body;
  assert.notEqual(renewed.token, first.token);
  assert.equal((await graph('/me', renewed.token)).id, first.claims.oid);
});

test('a bot of Teams is made from the catalog, tried at its directory, and has its own token', async () => {
  const bot = (more) => ({
    service: 'microsoft-teams',
    name: 'bot',
    uid: 'microsoft-teams/bot',
    connectionMethod: 'bot',
    params: { tenant: data.tenantId },
    data: { clientId: data.clientId, clientSecret: 'microsoft-client-secret', ...more },
    projectId: broker.dev.projectId,
  });
  const wrong = (await broker.api('POST', '/v1/connect/connectors', { json: bot({ clientSecret: 'wrong' }) })).is(422, 'invalid_connector');
  assert.equal(wrong.body.error.field, 'data.clientSecret', wrong.text);
  const made = (await broker.api('POST', '/v1/connect/connectors', { json: bot() })).is(201).body;
  assert.deepEqual(made.data.appScopes, ['https://api.botframework.com/.default']);
  assert.doesNotMatch(JSON.stringify(made), /microsoft-client-secret/);
  const { token } = (await broker.token(made.uid, APP)).is(200).body;
  assert.match(token, /^microsoft_/);
  assert.equal((await microsoft.asked()).scope, 'https://api.botframework.com/.default');
  const nobody = await broker.authorize(made.uid, ADA);
  assert.ok(nobody.status >= 400, 'a bot acts for itself alone');
});

test('where a directory trusts nobody else, the application proves itself by a certificate that it has', async () => {
  const { cert, key } = certificateFor('broker.acme.example', 'rsa');
  broker.secrets.add(key);
  const wish = (more) => ({
    type: 'microsoft-entra',
    service: 'microsoft',
    name: 'certified',
    uid: 'microsoft/certified',
    data: { ...data, certificatePem: cert, privateKeyPem: key, ...more },
    projectId: broker.dev.projectId,
  });
  const make = (more) => broker.api('POST', '/v1/connect/connectors', { json: wish(more) });
  for (const more of [{}, { certificatePem: certificateFor('other.example', 'rsa').cert }]) {
    const refused = (await make(more)).is(422, 'invalid_connector');
    assert.equal(refused.body.error.field, 'data.certificatePem', refused.text);
  }
  await microsoft.certificate(cert);
  // As Microsoft's own library does it, so that the emulator asks for nothing else.
  const library = new ConfidentialClientApplication({
    auth: {
      clientId: data.clientId,
      authority: `https://login.microsoftonline.com/${data.tenantId}`,
      clientCertificate: { thumbprintSha256: createHash('sha256').update(new X509Certificate(cert).raw).digest('hex'), privateKey: key },
    },
    system: { networkClient: { sendGetRequestAsync: there('GET'), sendPostRequestAsync: there('POST') } },
  });
  assert.match((await library.acquireTokenByClientCredential({ scopes: ['https://graph.microsoft.com/.default'] })).accessToken, /^microsoft_/);
  const made = (await make({})).is(201).body;
  assert.equal(made.data.federatedCredential, undefined);
  assert.match((await broker.token(made.uid, APP)).is(200).body.token, /^microsoft_/);
});

test('an identity that Carnet issues is a federated credential in Microsoft\'s own library', async () => {
  const audience = 'api://AzureADTokenExchange';
  const identity = async () => {
    const path = `/v1/projects/${broker.dev.projectId}/token`;
    return (await broker.api('POST', path, { json: { audience } })).is(200).body.token;
  };
  const { iss, sub } = JSON.parse(Buffer.from((await identity()).split('.')[1], 'base64url'));
  const application = () =>
    new ConfidentialClientApplication({
      auth: { clientId: data.clientId, authority: `https://login.microsoftonline.com/${data.tenantId}`, clientAssertion: identity },
      system: { networkClient: { sendGetRequestAsync: there('GET'), sendPostRequestAsync: there('POST') } },
    });
  const ask = () => application().acquireTokenByClientCredential({ scopes: ['https://graph.microsoft.com/.default'] });
  await assert.rejects(ask(), /AADSTS70021/, 'not before Entra is told whom to trust');
  await microsoft.trust(iss, sub);
  const { accessToken, expiresOn } = await ask();
  assert.match(accessToken, /^microsoft_/);
  assert.ok(expiresOn > new Date());
});
