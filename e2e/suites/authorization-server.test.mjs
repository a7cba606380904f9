// A connector against a certified authorization server that forgives nothing: a refresh token works once, and using it
// twice ends the grant. Sixty-four callers, lost answers, error statuses and a withdrawn grant must not lose more than
// the server itself took away, and never quietly.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from '../broker.mjs';
import { startAuthorizationServer } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
const RETURN = 'https://app.example.test/back';
const ALL = ['openid', 'offline_access', 'read', 'write'];
const LIFE = 2;

let broker, peer, connector;
let people = 0;
const somebody = () => ({ type: 'user', id: `peer-${++people}` });

const configuration = (data = {}, more = {}) => ({
  type: 'oauth',
  service: 'peer.example.test',
  name: `peer-${++people}`,
  ...more,
  data: {
    clientId: 'basic',
    clientSecret: 'basic-secret-of-the-peer',
    serverUrl: peer.issuer,
    tokenEndpointAuthMethod: 'client_secret_basic',
    userAuthorization: { enabled: true, scopes: ALL },
    refreshTokens: { enabled: true },
    clientCredentials: { enabled: true, scopes: ['read', 'write'] },
    // This server gives a refresh token only to people who were asked (OpenID Connect Core 1.0 §11).
    authorizationUrlParams: { prompt: 'consent' },
    ...data,
  },
});

before(async () => {
  broker = await startBroker();
  peer = await startAuthorizationServer([`${broker.url}/callback`]);
  connector = await broker.connector(configuration());
});

after(async () => {
  await broker?.stop();
  await peer?.stop();
});

beforeEach(async () => {
  await peer.person('alice');
  await peer.ttl(LIFE);
  await peer.forget();
});

async function consent(subject, more = {}, uid = connector.uid) {
  const { url } = (await broker.authorize(uid, subject, { returnUrl: RETURN, ...more })).is(200).body;
  return new Visitor().consent(url, RETURN);
}

/** Somebody who consented a moment ago. */
async function consented(uid = connector.uid) {
  const subject = somebody();
  const end = await consent(subject, {}, uid);
  assert.ok(end.url.startsWith(RETURN), `consent ended at ${end.url} ${end.status}\n${end.text}`);
  return subject;
}

// The official clients ask for 30 s of life left; these tokens never have so much.
const token = (subject, more = {}, uid = connector.uid) => broker.token(uid, subject, { validityBufferMs: 0, ...more });
const tokenCalls = async (grantType) =>
  (await peer.events()).filter((event) => event.path === '/token' && event.grantType === grantType);

/** Waits until this person's access token is over. */
async function expire(subject, uid = connector.uid) {
  const { expiresAt } = (await token(subject, {}, uid)).is(200).body;
  await sleep(expiresAt - Date.now() + 200);
}

/** Asks until it works; a provider that misbehaved may be left alone for some seconds. */
async function eventually(subject, uid, within = 30_000) {
  for (const start = Date.now(); ; await sleep(250)) {
    const answer = await token(subject, {}, uid);
    if (answer.status === 200) return answer;
    assert.notEqual(answer.code, 'user_authorization_required', answer.text);
    assert.ok(Date.now() - start < within, `still ${answer.text}`);
  }
}

describe('tokens of the application', () => {
  test('discovery finds the endpoints, and the configured scopes are asked for', async () => {
    const { body } = (await token(APP)).is(200);
    assert.equal(body.connector.uid, connector.uid);
    assert.deepEqual((await tokenCalls('client_credentials')).map((event) => [event.status, event.scope]), [[200, 'read write']]);
    assert.equal(connector.redirectUri, `${broker.url}/callback`);
  });

  test('a second caller gets the token of the first while it lives, and another when it is over', async () => {
    const fresh = await broker.connector(configuration());
    const first = (await token(APP, {}, fresh.uid)).is(200).body;
    const second = (await token(APP, {}, fresh.uid)).is(200).body;
    assert.equal(second.token, first.token);
    await sleep(first.expiresAt - Date.now() + 200);
    assert.notEqual((await token(APP, {}, fresh.uid)).is(200).body.token, first.token);
    assert.equal((await tokenCalls('client_credentials')).length, 2);
  });

  test('fewer scopes are asked of the server, unknown ones are refused', async () => {
    (await token(APP, { scopes: ['read'] })).is(200);
    assert.equal((await tokenCalls('client_credentials')).at(-1).scope, 'read');
    (await token(APP, { scopes: ['read', 'admin'] })).is(422, 'invalid_scope');
  });

  test('the secret in the body works as well as the secret in the header', async () => {
    const data = { clientId: 'post', clientSecret: 'post-secret-of-the-peer', tokenEndpointAuthMethod: 'client_secret_post' };
    (await token(APP, {}, (await broker.connector(configuration(data))).uid)).is(200);
  });

  test('a wrong secret is refused when the connector is made, with its field', async () => {
    for (const data of [{}, { clientCredentials: { enabled: false } }, { userAuthorization: { enabled: false } }]) {
      const json = { ...configuration({ ...data, clientSecret: 'wr0ng-s3cret' }), projectId: broker.dev.projectId };
      const answer = (await broker.api('POST', '/v1/connect/connectors', { json })).is(422, 'invalid_connector');
      assert.equal(answer.body.error.field, 'data.clientSecret', answer.text);
      assert.match(answer.body.error.message, /is not what the server knows/);
      assert.doesNotMatch(answer.text, /wr0ng-s3cret/);
    }
  });

  test('a connector is not made for a server that names itself otherwise, or is not there', async () => {
    for (const serverUrl of [`${peer.issuer}/x`, peer.issuer.replace('127.0.0.1', 'localhost'), 'http://127.0.0.1:9']) {
      const json = { ...configuration({ serverUrl }), projectId: broker.dev.projectId };
      const answer = await broker.api('POST', '/v1/connect/connectors', { json });
      assert.ok([400, 422].includes(answer.status), `${serverUrl}: ${answer.status} ${answer.text}`);
    }
  });
});

describe('consent', () => {
  test('afterwards the token is the person’s, with the scopes that were asked', async () => {
    const alice = await consented();
    const { token: access } = (await token(alice)).is(200).body;
    const me = await fetch(`${peer.issuer}/me`, { headers: { authorization: `Bearer ${access}` } });
    assert.equal((await me.json()).sub, 'alice');
  });

  test('a person who refuses at the server is not asked of us again, and no grant is made', async () => {
    await peer.person('alice refuses');
    const subject = somebody();
    await consent(subject);
    (await token(subject)).is(422, 'user_authorization_required');
    assert.deepEqual(await tokenCalls('authorization_code'), []);
  });

  test('a person who grants less does not make a token with more', async () => {
    await peer.person('alice grants openid offline_access read');
    const subject = somebody();
    await consent(subject);
    const answer = await token(subject, { scopes: ['write'] });
    assert.ok(answer.status === 422, answer.text);
  });

  /** Walks to the callback and stops before it. */
  async function toCallback(subject) {
    const { url } = (await broker.authorize(connector.uid, subject, { returnUrl: RETURN })).is(200).body;
    const visitor = new Visitor();
    const { url: callback } = await visitor.consent(url, `${broker.url}/callback`);
    return { visitor, callback: new URL(callback) };
  }

  test('an answer that names another server, or none, is refused before its code is used', async () => {
    for (const change of [(query) => query.set('iss', 'https://evil.example.test'), (query) => query.delete('iss')]) {
      const subject = somebody();
      const { visitor, callback } = await toCallback(subject);
      change(callback.searchParams);
      const page = await visitor.open(callback.href, RETURN);
      assert.ok(page.url.startsWith(RETURN) || page.status >= 400, `${page.status} ${page.url}`);
      (await token(subject)).is(422, 'user_authorization_required');
    }
    assert.deepEqual(await tokenCalls('authorization_code'), []);
  });

  test('a made-up state is refused', async () => {
    const subject = somebody();
    const { visitor, callback } = await toCallback(subject);
    callback.searchParams.set('state', 'x'.repeat(43));
    const page = await visitor.open(callback.href, RETURN);
    assert.ok(page.status >= 400, `${page.status} ${page.url}`);
    (await token(subject)).is(422, 'user_authorization_required');
  });

  test('twenty callbacks at once exchange the code once', async () => {
    const subject = somebody();
    const { visitor, callback } = await toCallback(subject);
    const pages = await Promise.all(Array.from({ length: 20 }, () => visitor.ask(callback.href)));
    assert.equal((await tokenCalls('authorization_code')).length, 1, pages.map((page) => page.status).join(' '));
    (await token(subject)).is(200);
  });
});

describe('refresh', () => {
  test('sixty-four callers of one expired grant cause one refresh, and nobody is refused', async () => {
    const alice = await consented();
    await peer.ttl(30);
    await expire(alice);
    await peer.forget();
    const answers = await Promise.all(Array.from({ length: 64 }, () => token(alice)));
    const tokens = new Set(answers.map((answer) => answer.is(200).body.token));
    assert.equal(tokens.size, 1);
    assert.deepEqual((await tokenCalls('refresh_token')).map((event) => event.status), [200]);
  });

  test('ten refreshes in a row keep the grant alive', async () => {
    const alice = await consented();
    const seen = new Set();
    await peer.ttl(60);
    for (let round = 0; round < 10; round++) {
      seen.add((await token(alice, { validityBufferMs: 120_000 })).is(200).body.token);
    }
    assert.equal(seen.size, 10);
    assert.ok((await tokenCalls('refresh_token')).every((event) => event.status === 200));
  });

  test('a grant that the person withdrew at the server says so, and consent mends it', async () => {
    const alice = await consented();
    await expire(alice);
    await peer.withdrawGrants();
    for (let round = 0; round < 2; round++) {
      const answer = (await token(alice)).is(422, 'user_authorization_required');
      assert.equal(answer.body.error.cause, 'revoked_at_provider');
    }
    const [grant] = (await broker.grants(connector.uid)).is(200).body.grants.filter((grant) => grant.subject.id === alice.id);
    assert.deepEqual([grant.state, grant.cause], ['needs_consent', 'revoked_at_provider']);
    assert.equal((await tokenCalls('refresh_token')).length, 1, 'a dead grant is not tried again');
    await consent(alice);
    (await token(alice)).is(200);
  });

  test('revoking here ends the grant there', async () => {
    const alice = await consented();
    const { token: access } = (await token(alice)).is(200).body;
    const counted = (await broker.revoke(connector.uid, { subject: alice })).is(200).body;
    assert.deepEqual([counted.deleted, counted.providerRevoked, counted.providerFailed], [1, 1, 0]);
    assert.ok((await peer.events()).some((event) => event.path === '/token/revocation' && event.status === 200));
    const me = await fetch(`${peer.issuer}/me`, { headers: { authorization: `Bearer ${access}` } });
    assert.equal(me.status, 401);
    (await token(alice)).is(422, 'user_authorization_required');
  });

  test('a revocation that the server does not take is counted as failed, and the grant is gone here all the same', async () => {
    const alice = await consented();
    await peer.fault('/token/revocation', 'status', { status: 503, times: 10 });
    const counted = (await broker.revoke(connector.uid, { subject: alice })).is(200).body;
    assert.deepEqual([counted.deleted, counted.providerFailed], [1, 1]);
    (await token(alice)).is(422, 'user_authorization_required');
  });

  const TROUBLE = [
    ['429 with Retry-After', 'status', { status: 429, retryAfter: 1 }, ['provider_unavailable', 'rate_limited']],
    ['500', 'status', { status: 500 }, ['provider_unavailable']],
    ['503 with Retry-After', 'status', { status: 503, retryAfter: 1 }, ['provider_unavailable']],
    ['a gateway’s HTML', 'html', { status: 502 }, ['provider_unavailable', 'provider_answer_invalid']],
    ['HTML with status 200', 'html', { status: 200 }, ['provider_unavailable']],
    ['half an answer', 'broken-json', {}, ['provider_unavailable']],
    ['a closed connection', 'refuse', {}, ['provider_unavailable']],
    ['refused credentials', 'status', { status: 401, body: { error: 'invalid_client' } }, ['connector_credentials_rejected']],
    ['a refusal that is not about the grant', 'status', { status: 400, body: { error: 'unauthorized_client' } }, ['provider_refused', 'connector_credentials_rejected']],
    ['an error nobody knows', 'status', { status: 400, body: { error: 'martian' } }, ['provider_refused']],
  ];
  for (const [what, mode, more, codes] of TROUBLE) {
    test(`${what} does not cost the grant`, async () => {
      // A connector of its own: after a failure the server may be left alone for a while.
      const { uid } = await broker.connector(configuration());
      const alice = await consented(uid);
      await expire(alice, uid);
      await peer.fault('/token', mode, more);
      const answer = await token(alice, {}, uid);
      assert.ok(codes.includes(answer.code), `${answer.status} ${answer.text}`);
      if (more.retryAfter) assert.ok(Number(answer.headers.get('retry-after')) >= 1, 'Retry-After is passed on');
      const { grants } = (await broker.grants(uid)).is(200).body;
      assert.deepEqual(grants.map((grant) => grant.state), ['active']);
      await eventually(alice, uid);
    });
  }

  test('an answer that was lost after the server rotated is told with its cause, and consent mends it', async () => {
    const { uid } = await broker.connector(configuration());
    const alice = await consented(uid);
    await expire(alice, uid);
    await peer.fault('/token', 'lost-answer');
    const first = await token(alice, {}, uid);
    assert.notEqual(first.status, 200);
    let last = first;
    for (let tries = 0; last.code !== 'user_authorization_required' && tries < 120; tries++) {
      await sleep(250);
      last = await token(alice, {}, uid);
    }
    last.is(422, 'user_authorization_required');
    assert.equal(typeof last.body.error.cause, 'string', last.text);
    await consent(alice, {}, uid);
    (await token(alice, {}, uid)).is(200);
  });

  test('a token that still lives is served while the server is away', async () => {
    const { uid } = await broker.connector(configuration());
    await peer.ttl(60);
    const alice = await consented(uid);
    const alive = (await token(alice, {}, uid)).is(200).body;
    await peer.fault('/token', 'refuse', { times: 100 });
    const ask = { validityBufferMs: 30_000 };
    assert.equal((await token(alice, ask, uid)).is(200).body.token, alive.token);
  });
});
