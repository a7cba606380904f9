// Signing in with a connector: apps with the official adapters for Better Auth and Auth.js, and one with a certified OpenID
// client, at an emulated Google. The apps are processes of their own; the person has cookies and follows links.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { freePort, startBroker } from '../broker.mjs';
import { startEmulator } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const UID = 'google/people';
const ADA = 'ada@acme.example';
let broker, google, connector, app;

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const uris = (project = broker.dev.projectId) => `/v1/connect/connectors/${encodeURIComponent(UID)}/projects/${project}/redirect-uris`;
const register = (...all) =>
  broker.api('PUT', uris(), { json: { redirectUris: all.map((uri) => ({ uri, environment: 'development' })) } });

/** An app in a process of its own. */
async function startApp() {
  const port = await freePort();
  const child = spawn(process.execPath, ['--import', path('../redirect.mjs'), path('../gateway-app.mjs'), '--port', port, '--connector', UID], {
    env: { PATH: process.env.PATH, CARNET_URL: broker.url, VERCEL_OIDC_TOKEN: broker.dev.oidcToken },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  await Promise.race([once(child.stdout, 'data'), ended.then(() => assert.fail(log))]);
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url: `http://localhost:${port}`, log: () => log, stop };
}

before(async () => {
  google = await startEmulator('google');
  broker = await startBroker({ flags: google.instead });
  const data = {
    clientId: '1-broker.apps.googleusercontent.com',
    clientSecret: 'google-client-secret',
    userScopes: ['openid', 'email', 'profile'],
  };
  broker.secrets.add(data.clientSecret);
  connector = await broker.connector({ type: 'google', service: 'google', name: 'people', uid: UID, data });
  await google.redirect(`${broker.url}/callback/${connector.id}`);
  app = await startApp();
});

after(async () => {
  await app?.stop();
  await broker?.stop();
  await google?.stop();
});

/** The adapters know their vendor's host; whoever runs the app leads it here. */
const led = (url) => {
  const there = new URL(url);
  assert.equal(there.origin, 'https://connect.vercel.com');
  return new URL(there.pathname + there.search, broker.url).href;
};

/** From the app's link to the app's callback, whose answer is the page. */
async function signIn(visitor, link, email = ADA) {
  const page = await visitor.consent(link);
  const form = page.forms.find(({ fields }) => fields.email === email);
  assert.ok(form, `${page.url} ${page.status}\n${page.text}`);
  return visitor.ask(form.action, { method: 'POST', form: form.fields });
}

/** The same, and the address with the code that the browser would open. */
async function codeFor(link, home, email) {
  const visitor = new Visitor();
  return new URL((await visitor.follow(await signIn(visitor, link, email), home)).url);
}

describe('with Better Auth', () => {
  test('a person signs in, is the same again, and another is another', async () => {
    (await register('http://localhost/better/callback/people')).is(200);
    const users = [];
    for (const email of [ADA, ADA, 'eve@other.example']) {
      const visitor = new Visitor();
      const headers = { origin: app.url, 'content-type': 'application/json' };
      const body = JSON.stringify({ provider: 'people', callbackURL: '/home' });
      const started = await visitor.send(`${app.url}/better/sign-in/social`, { method: 'POST', body, headers });
      assert.equal(started.status, 200, started.text + app.log());
      const { url } = JSON.parse(started.text);
      const asked = new URL(url).searchParams;
      assert.deepEqual([asked.get('client_id'), asked.get('teamId')], [UID, broker.dev.teamId]);
      assert.equal(asked.get('scope'), 'openid profile email offline_access');
      const end = await visitor.follow(await signIn(visitor, led(url), email), `${app.url}/home`);
      assert.equal(end.url, `${app.url}/home`, `${end.status} ${end.text}${app.log()}`);
      const { user } = JSON.parse((await visitor.open(`${app.url}/better/get-session`)).text);
      assert.deepEqual([user.email, user.emailVerified], [email, true], JSON.stringify(user));
      users.push(user.id);
    }
    assert.equal(users[0], users[1], 'one account, by sub');
    assert.notEqual(users[0], users[2]);
  });

  test('an address that is not registered gets nobody', async () => {
    (await register('http://localhost/elsewhere')).is(200);
    const visitor = new Visitor();
    const headers = { origin: app.url, 'content-type': 'application/json' };
    const body = JSON.stringify({ provider: 'people', callbackURL: '/home' });
    const { url } = JSON.parse((await visitor.send(`${app.url}/better/sign-in/social`, { method: 'POST', body, headers })).text);
    const page = await visitor.open(led(url));
    assert.deepEqual([page.status, page.url.startsWith(broker.url)], [400, true]);
    assert.match(page.text, /not registered/);
  });
});

describe('with Auth.js', () => {
  test('case 72 gateway-basic-secret, case 73 gateway-userinfo, case 74 gateway-at-claims: a person signs in; the tokens are what the contract says', async () => {
    (await register('http://localhost/authjs/callback/people')).is(200);
    const visitor = new Visitor();
    const { csrfToken } = JSON.parse((await visitor.open(`${app.url}/authjs/csrf`)).text);
    const started = await visitor.ask(`${app.url}/authjs/signin/people`, { method: 'POST', form: { csrfToken, callbackUrl: `${app.url}/home` } });
    assert.equal(started.status, 302, started.text + app.log());
    const end = await visitor.follow(await signIn(visitor, led(started.next)), `${app.url}/home`);
    assert.equal(end.url, `${app.url}/home`, `${end.status} ${end.text}${app.log()}`);
    const session = JSON.parse((await visitor.open(`${app.url}/authjs/session`)).text);
    assert.equal(session.user.email, ADA, JSON.stringify(session));
    assert.match(session.sub, /^per_/);
    assert.match(session.refresh, /^cgr_/);
    const claims = decodeJwt(session.access);
    assert.deepEqual(
      [claims.typ, claims.clientId, claims.clientUid, claims.aud],
      ['at', connector.id, UID, `${broker.dev.teamId}:${broker.dev.projectId}:development`],
    );
    // As a service of the app verifies it: by what the issuer says about itself.
    const described = await (await fetch(`${broker.url}/.well-known/openid-configuration`)).json();
    const keys = createRemoteJWKSet(new URL(described.jwks_uri));
    const verified = await jwtVerify(session.access, keys, { issuer: broker.url, audience: claims.aud, typ: 'at+jwt' });
    assert.match(verified.payload.sub, /^gws_/);
    const told = (await broker.api('GET', '/oauth/userinfo', { as: session.access })).is(200).body;
    assert.deepEqual([told.sub, told.email], [session.sub, ADA]);
    // Whoever has signed in can be acted for.
    (await broker.token(UID, { type: 'user', id: session.sub })).is(200);
  });
});

describe('with a certified OpenID client', () => {
  const home = 'http://localhost:4321/callback';
  let config;

  before(async () => {
    (await register('http://localhost/callback')).is(200);
    const secret = broker.dev.oidcToken;
    config = await client.discovery(new URL(broker.url), UID, secret, client.ClientSecretBasic(secret), { execute: [client.allowInsecureRequests] });
    client.enableNonRepudiationChecks(config);
  });

  const begin = async (more = {}) => {
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const link = client.buildAuthorizationUrl(config, {
      redirect_uri: home,
      scope: 'openid email profile offline_access',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      teamId: broker.dev.teamId,
      state,
      nonce,
      ...more,
    });
    return { link: link.href, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
  };

  test('a person signs in, the session is renewed, and ended', async () => {
    const { link, checks } = await begin();
    const back = await codeFor(link, 'http://localhost:4321/');
    const tokens = await client.authorizationCodeGrant(config, back, checks);
    const { sub, email, email_verified: verified } = tokens.claims();
    assert.deepEqual([email, verified], [ADA, true]);
    const info = await client.fetchUserInfo(config, tokens.access_token, sub);
    assert.equal(info.email, ADA);
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(renewed.refresh_token, tokens.refresh_token);
    assert.equal((await client.fetchUserInfo(config, renewed.access_token, sub)).sub, sub);
    await client.tokenRevocation(config, renewed.refresh_token);
    await assert.rejects(client.fetchUserInfo(config, renewed.access_token, sub));
    await assert.rejects(client.refreshTokenGrant(config, renewed.refresh_token));
  });

  test('a code that is used twice ends what it began', async () => {
    const { link, checks } = await begin();
    const back = await codeFor(link, 'http://localhost:4321/');
    const tokens = await client.authorizationCodeGrant(config, back, checks);
    await assert.rejects(client.authorizationCodeGrant(config, back, checks));
    (await broker.api('GET', '/oauth/userinfo', { as: tokens.access_token })).is(401, 'unauthorized');
  });

  test('a no is told, and prompt=none asks nobody', async () => {
    const { link, checks } = await begin();
    const visitor = new Visitor();
    const page = await visitor.open(link);
    const end = await visitor.decide(page, 'deny', 'http://localhost:4321/');
    await assert.rejects(client.authorizationCodeGrant(config, new URL(end.url), checks), { error: 'access_denied' });
    const silent = await begin({ prompt: 'none' });
    const back = await new Visitor().open(silent.link, 'http://localhost:4321/');
    await assert.rejects(client.authorizationCodeGrant(config, new URL(back.url), silent.checks), { error: 'interaction_required' });
  });
});

describe('with the provider of a development server', () => {
  test('either of its people signs in, by name, with nothing set up but an address', async () => {
    const home = 'http://localhost/done';
    const hello = `/v1/connect/connectors/${encodeURIComponent('demo/hello')}/projects/${broker.dev.projectId}/redirect-uris`;
    (await broker.api('PUT', hello, { json: { redirectUris: [{ uri: home, environment: 'development' }] } })).is(200);
    const server = new URL(broker.url);
    const options = { execute: [client.allowInsecureRequests] };
    const config = await client.discovery(server, 'demo/hello', undefined, client.ClientSecretBasic(broker.dev.oidcToken), options);
    const verifier = client.randomPKCECodeVerifier();
    const link = client.buildAuthorizationUrl(config, {
      redirect_uri: home,
      scope: 'openid profile',
      teamId: broker.dev.teamId,
      nonce: 'n',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const back = await new Visitor().consent(link.href, home);
    const tokens = await client.authorizationCodeGrant(config, new URL(back.url), { pkceCodeVerifier: verifier, expectedNonce: 'n' });
    const { sub, name } = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.match(sub, /^per_/);
    assert.equal(name, 'Ada');
  });
});
