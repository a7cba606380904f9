// The HTTP contract that the official clients rely on, one case per row. The numbers are those of the contract's list
// of black-box cases; a number that is missing needs something that this server does not serve yet, or is driven by
// another suite.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { startBroker } from '../broker.mjs';
import { startAuthorizationServer } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const HELLO = 'demo/hello';
const APP = { type: 'app' };
const RETURN = 'https://app.example.test/back';
const FORMS = /^(user_authorization_required|no_token)$/;

let broker, dev, hello, other, otherToken, keys, ci, peer;
let people = 0;
const somebody = () => ({ type: 'user', id: `person-${++people}` });

before(async () => {
  broker = await startBroker();
  dev = broker.dev;
  hello = (await broker.api('GET', `/v1/connect/connectors/${encodeURIComponent(HELLO)}`)).is(200).body;
  other = (await broker.api('POST', '/v9/projects', { json: { name: 'unlinked' } })).is(200).body;
  otherToken = (await broker.api('POST', `/v1/projects/${other.id}/token`)).is(200).body.token;
  peer = await startAuthorizationServer([`${broker.url}/callback`]);
  await trustCi();
});

after(async () => {
  await peer?.stop();
  await broker?.stop();
});

/** An issuer of our own: `ci` signs what a build job would present. */
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
    rules: [{ project: dev.projectId, environment: 'production', claims: { repository_id: '74', ref: 'refs/heads/main' }, subjects: ['app', 'user'] }],
  };
  const answer = await broker.api('POST', '/v1/trusted-issuers', { json });
  assert.ok([200, 201].includes(answer.status), answer.text);
  ci = ({ claims = {}, header = {}, key = pair.privateKey } = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuer, aud: audience, sub: 'repo:acme/shop', repository_id: '74', ref: 'refs/heads/main', iat: now, nbf: now, exp: now + 300, jti: `${Math.random()}`, ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid, ...header }).sign(key);
  };
}

/** A completion webhook of the app; in development plain http on this machine is allowed. */
async function listen() {
  const server = createServer();
  const said = once(server, 'request').then(async ([request, response]) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    response.end();
    server.close();
    return { body: JSON.parse(text), bearer: request.headers.authorization?.replace('Bearer ', '') };
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/hook`, said };
}

/** Enters a device code; what comes back is the page it leads to. */
async function enter(visitor, code) {
  const page = await visitor.open(`${broker.url}/device`);
  const [form] = page.forms;
  return visitor.follow(await visitor.ask(form.action, { method: 'POST', form: { ...form.fields, code } }));
}

/** A user who has consented to the demo connector. */
async function consented(subject = somebody(), more = {}, as) {
  const { url } = (await broker.authorize(HELLO, subject, { returnUrl: RETURN, ...more }, as)).is(200).body;
  const end = await new Visitor().consent(url, RETURN);
  assert.ok(end.url.startsWith(RETURN), `consent ended at ${end.url}:\n${end.text}`);
  return subject;
}

const oauth = (more = {}, data = {}) => ({
  type: 'oauth',
  service: 'login.example.test',
  name: `c${++people}`,
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

const apiKey = (value, more = {}) => ({
  type: 'api-key',
  service: 'keys.example.test',
  name: `k${++people}`,
  data: { subjectType: 'app', values: [{ value }] },
  ...more,
});

const encoded = encodeURIComponent;
const connectorPath = (connector, rest = '') => `/v1/connect/connectors/${encoded(connector)}${rest}`;
const linkPath = (connector, project = dev.projectId) => connectorPath(connector, `/projects/${project}`);

const CASES = {
  async '1 uid-encoded-segment'() {
    const byUid = (await broker.token('demo/hello', APP)).is(200).body;
    const byId = (await broker.token(hello.id, APP)).is(200).body;
    assert.equal(byUid.connector.id, hello.id);
    assert.deepEqual(byId.connector, byUid.connector);
  },

  async '2 token-app-default-scopes'() {
    const { body } = (await broker.token(HELLO, APP)).is(200);
    assert.equal(typeof body.token, 'string');
    assert.ok(Number.isInteger(body.expiresAt) && body.expiresAt > Date.now(), body.expiresAt);
    assert.deepEqual(body.connector, { id: hello.id, uid: HELLO, type: 'oauth' });
    assert.match(body.tokenId, /^stk_[0-9A-Za-z]{22}$/);
  },

  async '3 token-omitted-scopes'() {
    const spelled = (await broker.token(HELLO, APP)).is(200).body;
    const omitted = (await broker.token(HELLO, APP, { scopes: undefined })).is(200).body;
    assert.equal(omitted.token, spelled.token);
  },

  async '4 token-omitted-subject'() {
    const ask = () => broker.token(HELLO, undefined, {}, dev.accessToken);
    (await ask()).is(422, 'user_authorization_required');
    await consented({ type: 'user', id: dev.userId }, {}, dev.accessToken);
    (await ask()).is(200);
  },

  async '5 token-needs-consent'() {
    const answer = (await broker.token(HELLO, somebody())).is(422, 'user_authorization_required');
    assert.match(answer.headers.get('content-type'), /^application\/json/);
  },

  async '6 token-needs-install'() {
    const unknown = { installationId: 'sci_0000000000000000000000' };
    (await broker.token(HELLO, APP, unknown)).is(422, 'client_installation_required');
  },

  async '7 token-revoked-grant'() {
    const alice = await consented();
    const before = (await broker.token(HELLO, alice)).is(200).body;
    const counted = (await broker.revoke(HELLO, { subject: alice })).is(200).body;
    assert.equal(counted.deleted, 1);
    assert.equal(counted.providerRevoked, 1);
    const after = await broker.token(HELLO, alice);
    assert.match(after.code ?? '', FORMS, after.text);
    assert.ok(!after.text.includes(before.token));
    const api = await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${before.token}` } });
    assert.equal(api.status, 401, 'the token that was out is dead at the provider');
  },

  async '8 token-unknown-connector'() {
    for (const name of ['nope', 'nope/nope', 'scl_0000000000000000000000']) {
      (await broker.token(name, APP)).is(404, 'not_found');
    }
  },

  async '9 oidc-not-linked'() {
    const answer = (await broker.token(HELLO, APP, {}, otherToken)).is(403, 'forbidden');
    assert.match(answer.body.error.message, /connector is not linked to this project/i);
  },

  async '10 oidc-env-disabled'() {
    const made = await broker.connector(oauth({ environments: ['production'] }));
    assert.equal((await broker.token(made.uid, APP)).status, 403);
    (await broker.token(made.uid, APP, {}, await ci())).is(200);
  },

  async '11 at-foreign-user'() {
    (await broker.token(HELLO, somebody(), {}, dev.accessToken)).is(403, 'forbidden');
    const elsewhere = { type: 'user', id: dev.userId, issuer: 'https://idp.example.test' };
    (await broker.token(HELLO, elsewhere, {}, dev.accessToken)).is(403, 'forbidden');
    (await broker.authorize(HELLO, somebody(), {}, dev.accessToken)).is(403, 'forbidden');
  },

  async '12 oidc-any-user'() {
    const alice = await consented({ type: 'user', id: 'alice' });
    const inAnotherSpace = { ...alice, issuer: 'https://idp.example.test' };
    (await broker.token(HELLO, alice)).is(200);
    (await broker.token(HELLO, inAnotherSpace)).is(422, 'user_authorization_required');
    (await broker.token(HELLO, alice, {}, await ci())).is(422, 'user_authorization_required');
  },

  async '13 subject-unknown-type'() {
    for (const subject of [{ type: 'martian' }, {}, 'app', 7, { type: 'user', id: '' }, { type: 'user', id: 'x'.repeat(5000) }]) {
      const answer = await broker.token(HELLO, subject);
      assert.ok([400, 422].includes(answer.status) && answer.code, `${JSON.stringify(subject)}: ${answer.text}`);
    }
  },

  async '14 subject-token-extra-prop'() {
    assert.equal((await broker.token(HELLO, { type: 'token', token: 't', x: 1 })).status, 400);
  },

  async '16 installation-star'() {
    const answer = await broker.token(HELLO, APP, { installationId: '*' });
    assert.ok(answer.status >= 400 && answer.status < 500 && answer.code, answer.text);
  },

  async '17 validity-buffer'() {
    const alice = await consented();
    const first = (await broker.token(HELLO, alice)).is(200).body;
    const same = (await broker.token(HELLO, alice, { validityBufferMs: 1000 })).is(200).body;
    assert.equal(same.token, first.token);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const validityBufferMs = first.expiresAt - Date.now() + 500;
    const fresh = (await broker.token(HELLO, alice, { validityBufferMs })).is(200).body;
    assert.notEqual(fresh.token, first.token);
    assert.ok(fresh.expiresAt > first.expiresAt);
  },

  async '18 expired-oidc'() {
    (await broker.token(HELLO, APP, {}, await ci())).is(200);
    const now = Math.floor(Date.now() / 1000);
    for (const claims of [{ iat: now - 900, nbf: now - 900, exp: now - 300 }, { exp: undefined }, { nbf: now + 300 }]) {
      (await broker.token(HELLO, APP, {}, await ci({ claims }))).is(401, 'unauthorized');
    }
  },

  async '19 wrong-issuer/kid/alg none'() {
    const stranger = await generateKeyPair('ES256');
    const [header, payload, signature] = (await ci()).split('.');
    const bare = (head) => Buffer.from(JSON.stringify(head)).toString('base64url');
    const publicBytes = Buffer.from(JSON.stringify(await exportJWK(keys.publicKey)));
    const forged = {
      'another issuer': await ci({ claims: { iss: 'https://evil.example.test' } }),
      'a prefix of the issuer': await ci({ claims: { iss: 'https://ci.example.test/' } }),
      'another audience': await ci({ claims: { aud: 'https://api.example.test' } }),
      'no audience': await ci({ claims: { aud: undefined } }),
      'an unknown key': await ci({ header: { kid: 'ci-2' } }),
      'a stranger with the right kid': await ci({ key: stranger.privateKey }),
      'a signature cut short': `${header}.${payload}.${signature.slice(0, -8)}`,
      'no signature': `${bare({ alg: 'none', typ: 'JWT' })}.${payload}.`,
      'none with a signature': `${bare({ alg: 'none', kid: keys.kid })}.${payload}.${signature}`,
      'the public key as an HMAC secret': await new SignJWT(decodeJwt(await ci())).setProtectedHeader({ alg: 'HS256', kid: keys.kid }).sign(publicBytes),
      'a key in the header': await ci({ key: stranger.privateKey, header: { jwk: await exportJWK(stranger.publicKey) } }),
      'another payload': `${header}.${bare({ ...decodeJwt(await ci()), repository_id: '75' })}.${signature}`,
      rubbish: 'not.pars4ble.atall',
    };
    for (const [what, token] of Object.entries(forged)) {
      const answer = await broker.token(HELLO, APP, {}, token);
      assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
      assert.ok(!answer.text.includes(token.split('.')[1]), `${what}: the token is quoted`);
    }
    for (const claims of [{ repository_id: '75' }, { repository_id: 74 }, { ref: 'refs/heads/main2' }, { ref: undefined }]) {
      const answer = await broker.token(HELLO, APP, {}, await ci({ claims }));
      assert.ok([401, 403].includes(answer.status), `${JSON.stringify(claims)}: ${answer.text}`);
    }
  },

  async '20 no-auth'() {
    for (const [method, path] of [['POST', `/v1/connect/token/${encoded(HELLO)}`], ['GET', '/v1/connect/connectors'], ['GET', '/v2/user'], ['GET', '/v1/audit']]) {
      (await broker.api(method, path, { as: null, ...(method === 'POST' && { json: { subject: APP } }) })).is(401, 'unauthorized');
      (await broker.api(method, path, { as: 'crn_000000000000000000000000000000000000', ...(method === 'POST' && { json: { subject: APP } }) })).is(401, 'unauthorized');
    }
  },

  async '21 no-team'() {
    const foreign = 'team_0000000000000000000000';
    const answer = await broker.api('GET', `/v1/connect/connectors?teamId=${foreign}`);
    assert.ok([401, 403, 404].includes(answer.status), answer.text);
    assert.ok((await broker.api('GET', `/v1/connect/connectors?teamId=${dev.teamId}&slug=${dev.teamSlug}`)).status >= 400);
    for (const query of [`teamId=${dev.teamId}`, `slug=${dev.teamSlug}`]) (await broker.api('GET', `/v1/connect/connectors?${query}`)).is(200);
  },

  async '22 revoke-subject'() {
    const alice = await consented();
    const { body } = (await broker.revoke(HELLO, { subject: alice })).is(200);
    for (const name of ['tokensFound', 'deleted', 'providerRevoked', 'providerSkipped', 'providerFailed']) {
      assert.equal(typeof body[name], 'number', name);
    }
    const again = (await broker.revoke(HELLO, { subject: alice })).is(200).body;
    assert.equal(again.deleted, 0);
  },

  async '23 revoke-all-empty-body'() {
    const made = await broker.connector(oauth());
    (await broker.token(made.uid, APP)).is(200);
    (await broker.revoke(made.uid, {})).is(403, 'forbidden');
    (await broker.revoke(made.uid, {}, dev.accessToken)).is(200);
  },

  async '24 revoke-mine-only'() {
    const mine = await consented({ type: 'user', id: dev.userId }, {}, dev.accessToken);
    const alice = await consented();
    (await broker.revoke(HELLO, { subject: mine }, dev.accessToken)).is(200);
    (await broker.token(HELLO, mine, {}, dev.accessToken)).is(422, 'user_authorization_required');
    (await broker.token(HELLO, alice)).is(200);
  },

  async '25 authorize-basic'() {
    const { body } = (await broker.authorize(HELLO, somebody(), { returnUrl: RETURN })).is(200);
    assert.ok(body.url.startsWith(`${broker.url}/authorize/`), body.url);
    assert.match(body.request, /^car_[0-9A-Za-z]{22}$/);
    assert.ok(body.verifier.length >= 40 && !body.url.includes(body.verifier));
    assert.ok(Number.isInteger(body.expiresAt) && body.expiresAt > Date.now());
    assert.equal(body.connector.id, hello.id);
    for (const name of ['uid', 'type', 'name', 'displayName', 'service']) assert.equal(typeof body.connector[name], 'string', name);
  },

  async '26 authorize-device'() {
    const { body } = (await broker.authorize(HELLO, somebody(), { deviceCode: true })).is(200);
    assert.equal(typeof body.deviceCode, 'string');
    assert.equal(body.url, `${broker.url}/device`, 'no link that holds the code');
    const visitor = new Visitor();
    const page = await enter(visitor, body.deviceCode.toLowerCase());
    assert.ok(page.decision('allow'), page.text);
    for (const code of [body.deviceCode, 'BBBB-BBBB']) assert.equal((await enter(new Visitor(), code)).status, 422, 'once, and in one browser');
    // With a page to return to the person has a link, and compares the code.
    const beside = (await broker.authorize(HELLO, somebody(), { deviceCode: true, returnUrl: RETURN })).is(200).body;
    assert.ok((await new Visitor().open(beside.url)).text.includes(beside.deviceCode), 'the page repeats the code');
  },

  async '27 authorize-no-device'() {
    assert.ok(!('deviceCode' in (await broker.authorize(HELLO, somebody())).is(200).body));
  },

  async '28 authorize-bad-return'() {
    for (const returnUrl of ['http://evil.example.test/cb', 'javascript:alert(1)', '//evil.example.test', 'data:text/html,x', '/back', 'https://user:pw@app.example.test/', 'https://', 7]) {
      const answer = await broker.authorize(HELLO, somebody(), { returnUrl });
      assert.equal(answer.status, 400, `${returnUrl}: ${answer.status} ${answer.text}`);
    }
    for (const returnUrl of ['http://localhost:3000/cb', 'http://127.0.0.1:3000/cb', 'http://app.localhost:3000/cb']) {
      (await broker.authorize(HELLO, somebody(), { returnUrl })).is(200);
    }
  },

  async '29 authorize-http-webhook'() {
    for (const webhook of ['http://app.example.test/hook', 'ftp://app.example.test/', 'hook']) {
      assert.equal((await broker.authorize(HELLO, somebody(), { webhook })).status, 400, webhook);
    }
  },

  async '30 authorize-ttl'() {
    const asked = Date.now();
    const { body } = (await broker.authorize(HELLO, somebody(), { expiresInMs: 60_000 })).is(200);
    assert.ok(Math.abs(body.expiresAt - asked - 60_000) < 5000, `${body.expiresAt - asked}`);
    for (const expiresInMs of [0, -1, 1.5, 'soon', 1e15]) {
      const answer = await broker.authorize(HELLO, somebody(), { expiresInMs });
      assert.equal(answer.status, 400, `${expiresInMs}: ${answer.status} ${answer.text}`);
    }
  },

  async '31 authorize-complete-redirect'() {
    const alice = somebody();
    const { url, request, verifier } = (await broker.authorize(HELLO, alice, { returnUrl: `${RETURN}?keep=1` })).is(200).body;
    const state = async () => (await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200).body.status;
    assert.equal(await state(), 'pending');
    const end = await new Visitor().consent(url, RETURN);
    const told = Object.fromEntries(new URL(end.url).searchParams);
    assert.deepEqual(told, { keep: '1', request, status: 'success' }, 'and nothing of the provider’s');
    const { token } = (await broker.token(HELLO, alice)).is(200).body;
    const me = await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await me.json()).type, 'person', 'the provider knows the person by this token');
    assert.equal(await state(), 'success');
  },

  async '32 authorize-webhook-on-failure'() {
    for (const [answers, status] of [[['deny'], 'canceled'], [['allow', 'deny'], 'canceled'], [['allow'], 'success']]) {
      const alice = somebody();
      const hook = await listen();
      const { url, request, verifier } = (await broker.authorize(HELLO, alice, { returnUrl: RETURN, webhook: hook.url })).is(200).body;
      const end = await new Visitor().consent(url, RETURN, answers);
      assert.equal(new URL(end.url).searchParams.get('status'), status, `after ${answers}`);
      assert.equal((await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200).body.status, status);
      const said = await hook.said;
      assert.deepEqual(said.body, { request, status, connector: { id: hello.id, uid: HELLO } });
      const keySet = createRemoteJWKSet(new URL(`${broker.url}/.well-known/jwks`));
      const { payload } = await jwtVerify(said.bearer, keySet, { audience: hook.url });
      assert.equal(payload.project_id, dev.projectId);
      const answer = await broker.token(HELLO, alice);
      assert.equal(answer.code ?? 'token', status === 'success' ? 'token' : 'user_authorization_required');
    }
  },

  async '33 request-single-use'() {
    const alice = somebody();
    const { url } = (await broker.authorize(HELLO, alice, { returnUrl: RETURN })).is(200).body;
    const visitor = new Visitor();
    await visitor.consent(url, RETURN);
    const callback = visitor.trail.find((address) => new URL(address).pathname.startsWith('/callback'));
    const grants = (await broker.grants(HELLO)).is(200).body.grants.length;
    // The browser that answered is told how it ended, or led back again; any other one is refused.
    assert.ok(!(await visitor.open(url, RETURN)).decision('allow'));
    assert.ok((await visitor.open(callback, RETURN)).url.startsWith(RETURN));
    for (const address of [url, callback]) {
      const page = await new Visitor().open(address, RETURN);
      assert.ok(page.status >= 400 && !page.decision('allow'), `${address}: ${page.status}\n${page.text}`);
    }
    assert.equal((await broker.grants(HELLO)).is(200).body.grants.length, grants);
    (await broker.token(HELLO, alice)).is(200);
  },

  async '34 install-basic'() {
    const path = `/v1/connect/install/${encodeURIComponent(HELLO)}`;
    const json = { scopes: ['*'], returnUrl: RETURN, tenantId: 'T1', expiresInMs: 60_000 };
    const refused = (await broker.api('POST', path, { json, as: dev.oidcToken })).is(422, 'unresolved_token');
    assert.match(refused.body.error.message, /nothing to install/);
    (await broker.api('POST', path, { json: { subject: APP }, as: dev.oidcToken })).is(400);
    (await broker.api('POST', path, { json, as: otherToken })).is(403, 'forbidden');
  },

  async '35 metadata-data-field'() {
    const { body } = (await broker.api('GET', connectorPath(HELLO), { as: dev.oidcToken })).is(200);
    assert.equal(typeof body.data, 'object');
    assert.ok(!('clientSecret' in body.data));
    for (const name of ['id', 'uid', 'name', 'displayName', 'type', 'typeName', 'service']) assert.equal(typeof body[name], 'string', name);
    for (const name of ['supportsInstallation', 'supportsRevocation', 'supportsTriggers']) assert.equal(typeof body[name], 'boolean', name);
    assert.match(body.supportsIcon, /^(true|false|maybe)$/);
    assert.ok(body.supportedSubjectTypes.includes('app') && body.supportedSubjectTypes.includes('user'));
    assert.ok(Number.isInteger(body.createdAt) && Number.isInteger(body.updatedAt));
    (await broker.api('GET', connectorPath(HELLO), { as: otherToken })).is(403, 'forbidden');
  },

  async '36 metadata-404'() {
    (await broker.api('GET', connectorPath('nope/nope'))).is(404, 'not_found');
  },

  async '38 list-v1-shape'() {
    const { body } = (await broker.api('GET', '/v1/connect/connectors')).is(200);
    assert.ok(Array.isArray(body.clients) && !('connectors' in body));
    assert.ok(body.clients.some((connector) => connector.uid === HELLO));
  },

  async '39 list-include-projects'() {
    const { clients } = (await broker.api('GET', '/v1/connect/connectors?include=projects&limit=100')).is(200).body;
    const { items, hasMore } = clients.find((connector) => connector.uid === HELLO).includes.projects;
    assert.deepEqual([items[0].project.id, items[0].project.name, hasMore], [dev.projectId, dev.projectName, false]);
  },

  async '40 list-filters'() {
    const made = [await broker.connector(oauth({ service: 'filter.example.test', name: 'Needle' })), await broker.connector(apiKey('k', { service: 'filter.example.test' }))];
    const list = async (query) => (await broker.api('GET', `/v1/connect/connectors?limit=100&${query}`)).is(200).body.clients.map((connector) => connector.id).sort();
    const both = made.map((connector) => connector.id).sort();
    assert.deepEqual(await list('service=filter.example.test'), both);
    assert.deepEqual(await list('service=filter.example.test,demo&type=oauth'), [made[0].id, hello.id].sort());
    assert.deepEqual(await list('service=filter.example.test&type=oauth,api-key&search=needle'), [made[0].id]);
    assert.deepEqual(await list(`service=filter.example.test&projectId=${other.id}`), []);
  },

  async '41 list-paging'() {
    const seen = [];
    for (let cursor = ''; cursor !== undefined; ) {
      const { body } = (await broker.api('GET', `/v1/connect/connectors?limit=1${cursor && `&cursor=${encoded(cursor)}`}`)).is(200);
      assert.ok(body.clients.length <= 1);
      seen.push(...body.clients.map((connector) => connector.uid));
      cursor = body.cursor;
    }
    const all = (await broker.api('GET', '/v1/connect/connectors?limit=100')).is(200).body.clients.map((connector) => connector.uid);
    assert.deepEqual(seen, all);
    assert.equal(new Set(seen).size, seen.length);
  },

  async '42 list-v2-shape'() {
    const { body } = (await broker.api('GET', '/v2/connect/connectors?limit=1')).is(200);
    assert.equal(body.connectors.length, 1);
    assert.equal(typeof body.pagination.next, 'string');
    assert.equal((await broker.api('GET', '/v2/connect/connectors?limit=100')).is(200).body.pagination.next, null);
  },

  async '43 create-managed-direct'() {
    const json = { service: 'demo', name: 'second', projectId: dev.projectId, triggers: { enabled: false }, request_code: 'c' };
    const made = (await broker.api('POST', `/v1/connect/connectors/managed?autoinstall=true&teamId=${dev.teamId}`, { json })).is(201).body;
    assert.equal(made.uid, 'demo/second');
    (await broker.token(made.id, APP)).is(200);
  },

  async '48 create-data-oauth'() {
    const made = await broker.connector(oauth());
    assert.match(made.id, /^scl_[0-9A-Za-z]{22}$/);
    assert.equal(made.type, 'oauth');
    assert.equal(made.redirectUri, `${broker.url}/callback`, 'this server names itself in its answers');
    (await broker.token(made.id, APP)).is(200);
  },

  async '49 create-triggers-bool-and-object'() {
    for (const triggers of [false, { enabled: false }]) await broker.connector(oauth({ triggers }));
  },

  async '50 create-duplicate-uid'() {
    const body = oauth({ uid: 'login.example.test/twice' });
    await broker.connector(body);
    (await broker.api('POST', '/v1/connect/connectors', { json: body })).is(409, 'conflict');
  },

  async '51 create-bad-service-not-404'() {
    const bad = [
      oauth({ type: 'martian' }),
      oauth({ uid: 'managed' }),
      oauth({ uid: 'vc/x' }),
      oauth({}, { clientId: undefined }),
      oauth({}, { serverUrl: 'http://192.0.2.1/' }),
      oauth({}, { serverUrl: 'file:///etc/passwd' }),
      oauth({}, { martian: 1 }),
      oauth({}, { tokenEndpointAuthMethod: 'martian' }),
      apiKey('x', { data: { subjectType: 'app', values: [] } }),
      apiKey('x', { data: {} }),
      { type: 'oauth' },
    ];
    for (const json of bad) {
      const answer = await broker.api('POST', '/v1/connect/connectors', { json });
      assert.ok([400, 422].includes(answer.status) && answer.code, `${JSON.stringify(json)}: ${answer.status} ${answer.text}`);
    }
    const managed = await broker.api('POST', '/v1/connect/connectors/managed?autoinstall=true', { json: { service: 'martian', name: 'x', triggers: { enabled: false }, request_code: 'a' } });
    assert.equal(managed.status, 422, managed.text);
  },

  async '52 create-environments-without-project'() {
    const { projectId, ...rest } = oauth({ environments: ['production'] });
    assert.equal((await broker.api('POST', '/v1/connect/connectors', { json: rest })).status, 400);
  },

  async '53 patch-branding'() {
    const made = await broker.connector(oauth());
    const json = { backgroundColor: '#102030', accentColor: '#FF0066' };
    const { body } = (await broker.api('PATCH', connectorPath(made.id), { json })).is(200);
    assert.deepEqual([body.id, body.backgroundColor, body.accentColor], [made.id, '#102030', '#FF0066']);
    (await broker.api('PATCH', connectorPath(made.id), { json: { accentColor: 'red' } })).is(400, 'invalid_request');
  },

  async '55 attach-upsert'() {
    const made = await broker.connector(oauth());
    const link = async () => (await broker.api('GET', linkPath(made.id))).is(200).body;
    const put = async (environments) => {
      const answer = await broker.api('POST', linkPath(made.id), { json: { environments } });
      assert.ok(answer.status === 200 || answer.status === 201, answer.text);
    };
    assert.deepEqual([...(await link()).environments].sort(), ['development', 'preview', 'production']);
    await put(['production']);
    await put(['production']);
    const { environments, enabledEnvironments, connectorId, clientId, projectId, project } = await link();
    assert.deepEqual([environments, enabledEnvironments], [['production'], ['production']]);
    assert.deepEqual([connectorId, clientId, projectId, project.id, project.name], [made.id, made.id, dev.projectId, dev.projectId, dev.projectName]);
    assert.equal((await broker.api('GET', connectorPath(made.id, '/projects'))).is(200).body.projects.length, 1);
    for (const environments of [[], ['martian'], 'production']) {
      const answer = await broker.api('POST', linkPath(made.id), { json: { environments } });
      assert.ok([400, 422].includes(answer.status), `${JSON.stringify(environments)}: ${answer.text}`);
    }
  },

  async '56 attach-absent-is-404'() {
    (await broker.api('GET', linkPath(HELLO, other.id))).is(404, 'not_found');
  },

  async '57 attach-custom-env'() {
    const path = (project) => `/projects/${project}/custom-environments`;
    const qa = (await broker.api('POST', path(dev.projectId), { json: { slug: 'qa' } })).body;
    assert.match(qa.id, /^env_[0-9A-Za-z]{22}$/);
    const foreign = (await broker.api('POST', path(other.id), { json: { slug: 'qa' } })).body;
    const { environments } = (await broker.api('GET', path(dev.projectId))).is(200).body;
    assert.deepEqual(environments.map(({ id, slug }) => ({ id, slug })), [{ id: qa.id, slug: 'qa' }]);
    const made = await broker.connector(oauth());
    (await broker.api('POST', linkPath(made.id), { json: { environments: [qa.id, 'production'] } }));
    assert.deepEqual([...(await broker.api('GET', linkPath(made.id))).is(200).body.environments].sort(), [qa.id, 'production'].sort());
    const refused = await broker.api('POST', linkPath(made.id), { json: { environments: [foreign.id] } });
    assert.ok([400, 404, 422].includes(refused.status), refused.text);
    assert.equal((await broker.api('DELETE', `${path(dev.projectId)}/${qa.id}`)).status, 204);
    assert.deepEqual((await broker.api('GET', linkPath(made.id))).is(200).body.environments, ['production']);
  },

  async '60 detach-204-clean'() {
    const made = await broker.connector(oauth());
    (await broker.token(made.id, APP)).is(200);
    assert.ok([200, 204].includes((await broker.api('DELETE', linkPath(made.id))).status));
    (await broker.api('GET', linkPath(made.id))).is(404, 'not_found');
    (await broker.token(made.id, APP)).is(403, 'forbidden');
  },

  async '61 delete-cascades'() {
    const made = await broker.connector(oauth());
    (await broker.token(made.id, APP)).is(200);
    assert.ok([200, 204].includes((await broker.api('DELETE', connectorPath(made.id))).status));
    for (const path of [connectorPath(made.id), connectorPath(made.uid), connectorPath(made.id, '/projects'), connectorPath(made.id, '/grants')]) {
      (await broker.api('GET', path)).is(404, 'not_found');
    }
    (await broker.token(made.id, APP)).is(404, 'not_found');
    await broker.connector(oauth({ uid: made.uid }));
  },

  async '62 no-204-with-json'() {
    // Checked for every answer in broker.api; here for the deletions that no other case makes.
    const project = (await broker.api('POST', '/v9/projects', { json: { name: 'short-lived' } })).is(200).body;
    const token = (await broker.api('POST', '/v1/access-tokens', { json: { name: 'short-lived' } })).body;
    assert.match(token.token, /^crn_[0-9A-Za-z]{36}$/);
    const list = (await broker.api('GET', '/v1/trusted-issuers')).is(200).body;
    assert.ok(JSON.stringify(list).includes('https://ci.example.test'));
    (await broker.api('GET', '/v2/user', { as: token.token })).is(200);
    for (const path of [`/v9/projects/${project.id}`, `/v1/access-tokens/${token.id}`]) {
      assert.ok([200, 204].includes((await broker.api('DELETE', path)).status), path);
    }
    (await broker.api('GET', '/v2/user', { as: token.token })).is(401, 'unauthorized');
  },

  async '64 oidc-refresh'() {
    const { token } = (await broker.api('POST', `/v1/projects/${dev.projectId}/token?source=vercel-oidc-refresh`)).is(200).body;
    const claims = decodeJwt(token);
    assert.equal(claims.environment, 'development');
    assert.equal(claims.user_id, dev.userId);
    assert.equal(claims.exp - claims.iat, 12 * 3600);
    assert.equal(claims.sub, `owner:${dev.teamSlug}:project:${dev.projectName}:environment:development`);
    assert.equal(claims.iss, `${broker.url}/${dev.teamSlug}`);
    (await broker.token(HELLO, APP, {}, token)).is(200);
    const workload = await broker.api('POST', `/v1/projects/${dev.projectId}/token`, { as: token });
    assert.equal(workload.status, 403, 'a workload cannot make itself a longer life');
  },

  async '65 project-token-unversioned'() {
    const json = { source: 'vercel-cli' };
    const { token } = (await broker.api('POST', `/projects/${dev.projectId}/token?teamId=${dev.teamId}`, { json })).is(200).body;
    (await broker.token(HELLO, APP, {}, token)).is(200);
  },

  async '66 env-pull'() {
    const path = `/v3/env/pull/${dev.projectId}/development?source=vercel-cli%3Aenv%3Apull&teamId=${dev.teamId}`;
    const { env, buildEnv } = (await broker.api('GET', path)).is(200).body;
    assert.deepEqual(buildEnv, {});
    assert.equal(env.CARNET_URL, broker.url);
    for (const name of ['CARNET_OIDC_TOKEN', 'VERCEL_OIDC_TOKEN']) (await broker.token(HELLO, APP, {}, env[name])).is(200);
  },

  async '67 jwks'() {
    const token = decodeJwt(dev.oidcToken);
    for (const root of [broker.url, token.iss]) {
      const discovery = await (await fetch(`${root}/.well-known/openid-configuration`)).json();
      const found = await fetch(discovery.jwks_uri);
      assert.equal(found.status, 200);
      for (const key of (await found.clone().json()).keys) {
        assert.ok(key.kid && key.kty && !key.d && !key.p && !key.q, JSON.stringify(key));
      }
      await jwtVerify(dev.oidcToken, createLocalJWKSet(await found.json()), { issuer: token.iss, audience: token.aud, algorithms: ['RS256'] });
    }
    for (const path of ['/.well-known/jwks', '/.well-known/jwks.json']) {
      await jwtVerify(dev.oidcToken, createRemoteJWKSet(new URL(broker.url + path)), { issuer: token.iss });
    }
  },

  async '78 secrets-never-echoed'() {
    const values = ['s3cret-of-the-client-aaaaaaaaaaaa', 'k3y-of-the-service-bbbbbbbbbbbb'];
    values.forEach((value) => broker.secrets.add(value));
    const made = [await broker.connector(oauth({}, { clientSecret: values[0] })), await broker.connector(apiKey(values[1]))];
    for (const { id } of made) {
      for (const path of [connectorPath(id), connectorPath(id, '/grants'), connectorPath(id, '/projects')]) (await broker.api('GET', path)).is(200);
    }
    for (const path of ['/v1/connect/connectors?include=projects', '/v1/audit?limit=100']) (await broker.api('GET', path)).is(200);
    assert.equal((await broker.token(made[1].id, APP)).is(200).body.token, values[1]);
    const answer = (await broker.token(made[0].id, APP)).is(422, 'connector_credentials_rejected');
    for (const value of values) assert.ok(!answer.text.includes(value) && !broker.log().includes(value));
    const digest = createHash('sha256').update(dev.accessToken).digest('hex');
    for (const secret of [dev.accessToken, dev.oidcToken, digest]) assert.ok(!broker.log().includes(secret), 'a credential in the log');
  },
};

for (const [name, check] of Object.entries(CASES)) test(`case ${name}`, check);

test('a body without a JSON content type, a wrong method and an unknown path have the envelope too', async () => {
  const path = `/v1/connect/token/${encoded(HELLO)}`;
  (await broker.api('POST', path, { raw: '{}', headers: { 'content-type': 'text/plain' } })).is(415, 'unsupported_media_type');
  (await broker.api('POST', path, { raw: '{"subject":', headers: { 'content-type': 'application/json; charset=utf-8' } })).is(400, 'invalid_request');
  (await broker.api('PUT', path, { json: {} })).is(405, 'method_not_allowed');
  (await broker.api('GET', '/v1/connect/networks')).is(404, 'not_found');
  (await broker.api('POST', path, { json: { subject: APP, martian: 1 } })).is(400, 'invalid_request');
  const huge = { subject: APP, scopes: ['x'.repeat(300_000)] };
  const answer = await broker.api('POST', path, { json: huge });
  assert.ok([400, 413].includes(answer.status), answer.text.slice(0, 200));
});

test('every token, refusal and change is in the audit log, with who and where', async () => {
  const alice = await consented();
  await broker.token(HELLO, alice);
  await broker.token(HELLO, APP, {}, otherToken);
  const { events } = (await broker.api('GET', '/v1/audit?limit=100')).is(200).body;
  const seen = new Set(events.map((event) => `${event.action} ${event.outcome}`));
  for (const want of ['token.issue success', 'token.issue denied', 'authorization.complete success']) {
    assert.ok(seen.has(want), `${want} in ${[...seen].sort().join(', ')}`);
  }
  for (const event of events) assert.match(event.requestId ?? 'req_0', /^req_/);
  const sequence = events.map((event) => event.seq);
  assert.deepEqual(sequence, [...sequence].sort((a, b) => b - a), 'newest first');
});
