// Tokens: what is given to whom.
import assert from 'node:assert/strict';
import { createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { APP, HELLO, broker, ci, consented, dev, encoded, hello, keys, oauth, otherToken, serve, somebody } from './world.mjs';

const FORMS = /^(user_authorization_required|no_token)$/;

export default {
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

  async '15 jwt-bearer-subject'() {
    const asked = [];
    const server = await serve((request, text) => {
      asked.push(new URLSearchParams(text));
      return { body: JSON.stringify({ access_token: `asserted-${asked.length}`, token_type: 'Bearer', expires_in: 300 }) };
    });
    try {
      const made = await broker.connector(oauth({}, {
        serverUrl: undefined,
        serverConfig: { issuer: server.url, token_endpoint: `${server.url}/token` },
        userAuthorization: { enabled: false },
        clientCredentials: { enabled: false },
        jwtBearer: { enabled: true },
      }));
      const subject = { type: 'jwt-bearer', sub: 'ann@example.test', additionalClaims: { department: 'blue' } };
      (await broker.token(made.id, subject, {}, await ci())).is(200);
      // Whether the client is known was asked before, when the connector was made.
      const form = asked.at(-1);
      assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
      const published = createRemoteJWKSet(new URL(`${broker.url}/connect/jwks/${made.id}`));
      const { payload } = await jwtVerify(form.get('assertion'), published, { issuer: 'basic', audience: `${server.url}/token`, subject: subject.sub });
      assert.equal(payload.department, 'blue');
    } finally {
      await server.stop();
    }
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
};
