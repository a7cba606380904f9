// Consent and installation, and what its asker learns of it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Visitor } from '../visitor.mjs';
import { APP, HELLO, RETURN, broker, connectorPath, dev, enter, hello, listen, next, otherToken, somebody } from './world.mjs';

const result = (verifier) => broker.api('GET', `/v1/connect/result/${verifier}`);
const managed = (json) => broker.api('POST', `/v1/connect/connectors/managed?autoinstall=true&teamId=${dev.teamId}`, { json: { service: 'demo', projectId: dev.projectId, triggers: { enabled: false }, ...json } });

export default {
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

  async '45 result-hash'() {
    const { url, verifier } = (await broker.authorize(HELLO, somebody(), { returnUrl: RETURN })).is(200).body;
    await new Visitor().consent(url, RETURN);
    (await result(verifier)).is(200);
    (await result(`${verifier.slice(0, -1)}${verifier.endsWith('A') ? 'B' : 'A'}`)).is(404, 'not_found');
    // A create is asked about with the verifier of which its client gave the hash.
    const own = randomBytes(37).toString('base64url');
    const request_code = createHash('sha256').update(own).digest('base64url');
    (await result(own)).is(404, 'not_found');
    const made = (await managed({ name: `hashed-${next()}`, request_code })).is(201).body;
    assert.deepEqual((await result(own)).is(200).body, { status: 'success', data: { clientId: made.id } });
  },

  async '46 result-states'() {
    const rules = connectorPath(HELLO, '/consent-rules');
    (await broker.api('PATCH', rules, { json: { requireCompletion: true } })).is(200);
    try {
      const { url, verifier } = (await broker.authorize(HELLO, somebody(), { returnUrl: RETURN })).is(200).body;
      const state = async () => (await result(verifier)).is(200).body;
      assert.deepEqual(await state(), { status: 'pending' });
      const end = new URL((await new Visitor().consent(url, RETURN)).url);
      assert.deepEqual(await state(), { status: 'partial', progress: 'Confirming', data: { clientId: hello.id } });
      const code = end.searchParams.get('completion_code');
      (await broker.api('POST', '/v1/connect/authorize/complete', { json: { code }, as: dev.oidcToken })).is(200);
      assert.deepEqual(await state(), { status: 'success', data: { clientId: hello.id } });
      const refused = (await broker.authorize(HELLO, somebody(), { returnUrl: RETURN })).is(200).body;
      await new Visitor().consent(refused.url, RETURN, ['deny']);
      assert.deepEqual((await result(refused.verifier)).is(200).body, { status: 'canceled' });
    } finally {
      (await broker.api('PATCH', rules, { json: { requireCompletion: false } })).is(200);
    }
  },

  async '47 result-early'() {
    const { verifier } = (await broker.authorize(HELLO, somebody())).is(200).body;
    for (let polls = 0; polls < 5; polls++) assert.equal((await result(verifier)).is(200).body.status, 'pending');
  },
};
