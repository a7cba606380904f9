// Connectors: made, changed, shown, removed.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Visitor } from '../visitor.mjs';
import { png } from './png.mjs';
import { APP, HELLO, RETURN, apiKey, broker, connectorPath, dev, hello, next, oauth, registrar, somebody } from './world.mjs';

const managed = (json) => broker.api('POST', `/v1/connect/connectors/managed?autoinstall=true&teamId=${dev.teamId}`, { json: { service: 'demo', projectId: dev.projectId, triggers: { enabled: false }, ...json } });

export default {
  async '43 create-managed-direct'() {
    const made = (await managed({ name: 'second', request_code: 'c' })).is(201).body;
    assert.deepEqual([made.uid, made.creationMode, made.managed], ['demo/second', 'managed', {}]);
    (await broker.token(made.id, APP)).is(200);
    // Ejected, its client is the team's own, and goes on working.
    const ejected = (await broker.api('POST', connectorPath(made.id, '/managed/eject'))).is(200).body;
    assert.deepEqual([ejected.id, ejected.creationMode, 'managed' in ejected], [made.id, 'manual', false]);
    (await broker.token(made.id, APP)).is(200);
    (await broker.api('POST', connectorPath(made.id, '/managed/eject'))).is(409, 'conflict');
  },

  async '44 create-managed-422'() {
    const verifier = randomBytes(37).toString('base64url');
    const request_code = createHash('sha256').update(verifier).digest('base64url');
    const json = { service: 'github', name: 'registered', request_code };
    const refused = (await managed(json)).is(422, 'registration_required');
    const page = new URL(refused.body.error.registerUrl);
    assert.equal(page.origin, broker.url);
    assert.equal((await managed(json)).body.error.registerUrl, page.href, 'tried again it is the same page');
    assert.deepEqual((await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200).body, { status: 'pending' });
    const shown = await fetch(page, { redirect: 'manual' });
    assert.equal(shown.status, 303, 'whoever opens it signs in');
    assert.match(shown.headers.get('location'), /^\/login\?to=%2Fregister%2Freg_/);
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
    // The later form changes names too, and says what has to follow.
    const later = (json) => broker.api('PATCH', `/v2/connect/connectors/${made.id}`, { json });
    const uid = `login.example.test/renamed-${next()}`;
    const renamed = (await later({ name: 'Renamed', uid, triggers: false, accentColor: '#000000' })).is(200).body;
    assert.deepEqual([renamed.connector.uid, renamed.connector.name, renamed.connector.accentColor], [uid, 'Renamed', '#000000']);
    assert.ok(!('reconsentNeeded' in renamed));
    (await broker.token(uid, APP)).is(200);
    (await broker.token(made.uid, APP)).is(404, 'not_found');
    (await later({ uid: HELLO })).is(409, 'conflict');
    for (const bad of [{ uid: 'managed' }, { triggers: true }, { events: ['push'] }, { martian: 1 }]) (await later(bad)).is(400, 'invalid_request');
    const wider = { data: { userAuthorization: { enabled: true, scopes: ['openid', 'offline_access', 'read', 'write'] } } };
    assert.ok(!('reconsentNeeded' in (await later(wider)).is(200).body), 'nobody has consented yet');
    const { url } = (await broker.authorize(made.id, somebody(), { returnUrl: RETURN })).is(200).body;
    await new Visitor().consent(url, RETURN);
    const address = { data: { userAuthorization: { enabled: true, scopes: ['openid', 'offline_access', 'read', 'write', 'email'] } } };
    assert.deepEqual((await later(address)).is(200).body.reconsentNeeded, { scope: 'user' });
    assert.ok(!('reconsentNeeded' in (await later(wider)).is(200).body), 'less needs nobody');
  },

  async '54 files-digest'() {
    const picture = png();
    const digest = createHash('sha1').update(picture).digest('hex');
    const upload = (body, name, value) => broker.api('POST', '/v2/files', { raw: body, headers: { 'content-type': 'application/octet-stream', 'x-now-size': `${body.length}`, ...(name && { [name]: value }) } });
    for (const name of ['x-now-digest', 'x-vercel-digest']) {
      (await upload(picture, name, digest.replace(/./, (digit) => (digit === '0' ? '1' : '0')))).is(400, 'invalid_request');
      (await upload(picture, name, digest)).is(200);
    }
    for (const no of ['<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 'GIF89a000000000000', 'short', '']) {
      (await upload(Buffer.from(no))).is(400, 'invalid_request');
    }
    const large = Buffer.concat([picture, Buffer.alloc(5 * 1024 * 1024)]);
    assert.ok([400, 413].includes((await upload(large)).status));

    const made = await broker.connector(oauth());
    (await broker.api('PATCH', connectorPath(made.id), { json: { icon: '0'.repeat(40) } })).is(400, 'invalid_request');
    const shown = (await broker.api('PATCH', connectorPath(made.id), { json: { icon: digest.toUpperCase() } })).is(200).body;
    assert.equal(shown.icon, digest);
    const address = `${broker.url}/pictures/${made.id}/${digest}`;
    const answer = await fetch(address);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), picture);
    assert.deepEqual(
      ['content-type', 'x-content-type-options', 'content-security-policy'].map((name) => answer.headers.get(name)),
      ['image/png', 'nosniff', "default-src 'none'; sandbox"],
    );
    const { url } = (await broker.authorize(made.id, somebody(), { returnUrl: RETURN })).is(200).body;
    const page = await new Visitor().open(url);
    assert.ok(page.text.includes(`<img src="/pictures/${made.id}/${digest}" alt="">`), 'the person sees it before consenting');
    // Only where it is shown: another connector does not have it, and neither has this one once it shows none.
    assert.equal((await fetch(address.replace(made.id, hello.id))).status, 404);
    (await broker.api('PATCH', connectorPath(made.id), { json: { icon: '' } })).is(200);
    assert.equal((await fetch(address)).status, 404);
  },

  async '58 trigger-destinations-replace'() {
    const made = await broker.connector(oauth());
    const replace = (destinations, path = made.id) => broker.api('PATCH', connectorPath(path, '/trigger-destinations'), { json: { destinations } });
    // Where events are signed in no way that is known, none are received: the empty list is all there is.
    const { body } = (await replace([])).is(200);
    assert.deepEqual([body.id, body.supportsTriggers, 'triggerDestinations' in body], [made.id, false, false]);
    const one = { projectId: dev.projectId, path: '/hook' };
    for (const count of [1, 3, 4]) (await replace(Array(count).fill(one))).is(400, 'invalid_request');
    (await replace([{ projectId: dev.projectId, path: 'x'.repeat(2049) }])).is(400, 'invalid_request');
    (await replace([{ projectId: 'prj_0000000000000000000000' }])).is(404, 'not_found');
    (await replace([], 'nope/nope')).is(404, 'not_found');
  },

  async '59 trigger-branch-xor-env'() {
    const destinations = [{ projectId: dev.projectId, branch: 'main', customEnvironmentId: 'env_0000000000000000000000' }];
    const answer = (await broker.api('PATCH', connectorPath(HELLO, '/trigger-destinations'), { json: { destinations } })).is(400, 'invalid_request');
    assert.match(answer.body.error.message, /not both/);
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

  async '63 contacts-e164'() {
    const add = (json, path = HELLO) => broker.api('POST', connectorPath(path, '/contacts'), { json });
    for (const phoneNumber of ['12025551234', '+0', '+1 202 555', '', '+1234567890123456']) {
      const answer = (await add({ phoneNumber })).is(400, 'invalid_request');
      assert.match(answer.body.error.message, /E\.164/);
    }
    (await add({})).is(400, 'invalid_request');
    const lines = (await add({ phoneNumber: '+12025551234' })).is(422, 'invalid_connector');
    assert.match(lines.body.error.message, /no phone lines/);
    (await add({ phoneNumber: '+12025551234' }, 'nope/nope')).is(404, 'not_found');
  },

  async '77 idempotent-on-retry'() {
    const request_code = randomBytes(32).toString('base64url');
    const ask = { name: `tried-${next()}`, request_code };
    const first = (await managed(ask)).is(201).body;
    // The answer was lost: the client asks again, as often as it does.
    for (let tries = 0; tries < 3; tries++) assert.equal((await managed(ask)).is(201).body.id, first.id);
    (await managed({ ...ask, name: `another-${next()}` })).is(409, 'conflict');
    (await managed({ ...ask, request_code: randomBytes(32).toString('base64url') })).is(409, 'conflict');
    (await managed({ ...ask, request_code: 'two words' })).is(400, 'invalid_request');
    // All of them at the same moment, of a server that registers a client for each.
    const together = oauth({ service: 'together.example.test', name: 'together', request_code: randomBytes(32).toString('base64url') }, { serverUrl: registrar.issuer, clientId: undefined, clientSecret: undefined, tokenEndpointAuthMethod: undefined, clientCredentials: { enabled: false } });
    const json = { projectId: dev.projectId, ...together };
    const made = await Promise.all(Array.from({ length: 4 }, () => broker.api('POST', '/v1/connect/connectors', { json })));
    assert.deepEqual(new Set(made.map((answer) => answer.is(201).body.id)).size, 1);
    const { clients } = (await broker.api('GET', '/v1/connect/connectors?service=together.example.test')).is(200).body;
    assert.deepEqual(clients.map(({ id }) => id), [made[0].body.id]);
    // A connector that was removed is made again under the same code.
    (await broker.api('DELETE', connectorPath(first.id))).is(204);
    assert.notEqual((await managed(ask)).is(201).body.id, first.id);
  },

  async '78 secrets-never-echoed'() {
    const values = ['s3cret-of-the-client-aaaaaaaaaaaa', 'k3y-of-the-service-bbbbbbbbbbbb'];
    values.forEach((value) => broker.secrets.add(value));
    // A server that is there says that the secret is wrong; of one that is not nobody knows.
    const wrong = { projectId: dev.projectId, ...oauth({}, { clientSecret: values[0] }) };
    const refused = (await broker.api('POST', '/v1/connect/connectors', { json: wrong })).is(422, 'invalid_connector');
    assert.ok(!refused.text.includes(values[0]), refused.text);
    const nowhere = { serverUrl: undefined, userAuthorization: { enabled: false }, serverConfig: { token_endpoint: 'http://127.0.0.1:9/token' } };
    const made = [await broker.connector(oauth({}, { ...nowhere, clientSecret: values[0] })), await broker.connector(apiKey(values[1]))];
    for (const { id } of made) {
      for (const path of [connectorPath(id), connectorPath(id, '/grants'), connectorPath(id, '/projects')]) (await broker.api('GET', path)).is(200);
    }
    for (const path of ['/v1/connect/connectors?include=projects', '/v1/audit?limit=100']) (await broker.api('GET', path)).is(200);
    assert.equal((await broker.token(made[1].id, APP)).is(200).body.token, values[1]);
    const answer = await broker.token(made[0].id, APP);
    assert.equal(answer.code, 'provider_unavailable', answer.text);
    for (const value of values) assert.ok(!answer.text.includes(value) && !broker.log().includes(value));
    const digest = createHash('sha256').update(dev.accessToken).digest('hex');
    for (const secret of [dev.accessToken, dev.oidcToken, digest]) assert.ok(!broker.log().includes(secret), 'a credential in the log');
  },
};
