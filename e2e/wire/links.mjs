// Which project may ask, and identities for projects.
import assert from 'node:assert/strict';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { APP, HELLO, broker, connectorPath, dev, linkPath, oauth, other } from './world.mjs';

export default {
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
};
