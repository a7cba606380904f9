// What the cases of the wire contract are tried on: one broker, a certified authorization server beside it, an issuer of
// our own, and people who consent.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startBroker } from '../broker.mjs';
import { startAuthorizationServer } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

export const HELLO = 'demo/hello';
export const APP = { type: 'app' };
export const RETURN = 'https://app.example.test/back';

/** The broker, what `carnet dev` wrote about itself, its demo connector. */
export let broker, dev, hello;
/** Another project of the team, which is linked to nothing, and an identity for it. */
export let other, otherToken;
/** The key of our own issuer; `ci()` signs what a build job would present. */
export let keys, ci;
/** The authorization server, and one that registers clients. */
export let peer, registrar;

let count = 0;
/** A number that was not there before. */
export const next = () => ++count;
/** A person nobody has heard of. */
export const somebody = () => ({ type: 'user', id: `person-${next()}` });

export async function start() {
  broker = await startBroker();
  dev = broker.dev;
  hello = (await broker.api('GET', `/v1/connect/connectors/${encodeURIComponent(HELLO)}`)).is(200).body;
  other = (await broker.api('POST', '/v9/projects', { json: { name: 'unlinked' } })).is(200).body;
  otherToken = (await broker.api('POST', `/v1/projects/${other.id}/token`)).is(200).body.token;
  peer = await startAuthorizationServer([`${broker.url}/callback`]);
  registrar = await startAuthorizationServer([`${broker.url}/callback`], {}, ['--full']);
  await trustCi();
}

export async function stop() {
  await registrar?.stop();
  await peer?.stop();
  await broker?.stop();
}

async function trustCi() {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const kid = 'ci-1';
  keys = { ...pair, kid };
  const issuer = 'https://ci.example.test';
  const audience = `${broker.url}/${dev.teamSlug}`;
  const json = {
    issuer,
    jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), kid, use: 'sig', alg: 'ES256' }] },
    audiences: [audience],
    algorithms: ['ES256'],
    rules: [{ project: dev.projectId, environment: 'production', claims: { repository_id: '74', ref: 'refs/heads/main' }, subjects: ['app', 'user', 'jwt-bearer'] }],
  };
  const answer = await broker.api('POST', '/v1/trusted-issuers', { json });
  assert.ok([200, 201].includes(answer.status), answer.text);
  ci = ({ claims = {}, header = {}, key = pair.privateKey } = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuer, aud: audience, sub: 'repo:acme/shop', repository_id: '74', ref: 'refs/heads/main', iat: now, nbf: now, exp: now + 300, jti: `${Math.random()}`, ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid, ...header }).sign(key);
  };
}

/** A server of ours on loopback. `answer` gets the request and its text, and says what is answered. */
export async function serve(answer) {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { status = 200, body = '' } = await answer(request, text);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

/** A completion webhook of the app; in development plain http on this machine is allowed. */
export async function listen() {
  let tell;
  const said = new Promise((resolve) => (tell = resolve));
  const server = await serve((request, text) => {
    tell({ body: JSON.parse(text), bearer: request.headers.authorization?.replace('Bearer ', '') });
    return {};
  });
  return { url: `${server.url}/hook`, said: said.finally(server.stop) };
}

/** Enters a device code; what comes back is the page it leads to. */
export async function enter(visitor, code) {
  const page = await visitor.open(`${broker.url}/device`);
  const [form] = page.forms;
  return visitor.follow(await visitor.ask(form.action, { method: 'POST', form: { ...form.fields, code } }));
}

/** A user who has consented to the demo connector. */
export async function consented(subject = somebody(), more = {}, as) {
  const { url } = (await broker.authorize(HELLO, subject, { returnUrl: RETURN, ...more }, as)).is(200).body;
  const end = await new Visitor().consent(url, RETURN);
  assert.ok(end.url.startsWith(RETURN), `consent ended at ${end.url}:\n${end.text}`);
  return subject;
}

export const oauth = (more = {}, data = {}) => ({
  type: 'oauth',
  service: 'login.example.test',
  name: `c${next()}`,
  ...more,
  data: {
    clientId: 'basic',
    clientSecret: 'basic-secret-of-the-peer',
    serverUrl: peer.issuer,
    tokenEndpointAuthMethod: 'client_secret_basic',
    clientCredentials: { enabled: true, scopes: ['read'] },
    userAuthorization: { enabled: true, scopes: ['openid', 'offline_access', 'read'] },
    refreshTokens: { enabled: true },
    ...data,
  },
});

export const apiKey = (value, more = {}) => ({
  type: 'api-key',
  service: 'keys.example.test',
  name: `k${next()}`,
  data: { subjectType: 'app', values: [{ value }] },
  ...more,
});

export const encoded = encodeURIComponent;
export const connectorPath = (connector, rest = '') => `/v1/connect/connectors/${encoded(connector)}${rest}`;
export const linkPath = (connector, project = dev.projectId) => connectorPath(connector, `/projects/${project}`);
