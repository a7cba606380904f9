// What a connector says of itself, and lists of connectors.
import assert from 'node:assert/strict';
import { HELLO, apiKey, broker, connectorPath, consented, dev, encoded, hello, linkPath, oauth, other, otherToken } from './world.mjs';

export default {
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
    // Grants by whose they are.
    const subject = await consented();
    const grants = async (query) => (await broker.api('GET', connectorPath(HELLO, `/grants?${query}`))).is(200).body.grants;
    assert.deepEqual((await grants(`user=${subject.id}`)).map((grant) => grant.subject), [subject]);
    assert.deepEqual(await grants(`user=${subject.id}&issuer=${encoded('https://idp.example.test')}`), []);
    (await broker.api('GET', connectorPath(HELLO, '/grants?issuer=x'))).is(400, 'invalid_request');
  },

  async '41 list-paging'() {
    const pages = async (base, of, query = '') => {
      const seen = [];
      for (let cursor; cursor !== null; ) {
        const { body } = (await broker.api('GET', `${base}?limit=3${query}${cursor ? `&cursor=${encoded(cursor)}` : ''}`)).is(200);
        assert.ok(of(body).length <= 3);
        seen.push(...of(body));
        cursor = body.cursor ?? body.pagination?.next ?? null;
      }
      return seen;
    };
    const v1 = (await pages('/v1/connect/connectors', (body) => body.clients)).map(({ uid }) => uid);
    const all = (await broker.api('GET', '/v1/connect/connectors?limit=100')).is(200).body.clients.map(({ uid }) => uid);
    assert.deepEqual(v1, all);
    assert.equal(new Set(v1).size, v1.length);
    for (const [sort, key, down] of [['name', ({ name }) => name.toLowerCase(), false], ['createdAt', ({ createdAt }) => createdAt, true], ['updatedAt', ({ updatedAt }) => updatedAt, true]]) {
      const found = await pages('/v2/connect/connectors', (body) => body.connectors, `&sort=${sort}`);
      assert.deepEqual(found.map(({ uid }) => uid).sort(), [...all].sort(), sort);
      const order = found.map(key);
      order.slice(1).forEach((value, at) => assert.ok(down ? order[at] >= value : order[at] <= value, `${sort}: ${order[at]} before ${value}`));
    }
    const { next: cursor } = (await broker.api('GET', '/v2/connect/connectors?limit=1&sort=name')).is(200).body.pagination;
    for (const query of [`cursor=${encoded(cursor)}&sort=createdAt`, 'cursor=nonsense', 'sort=martian', `search=${'x'.repeat(101)}`]) {
      (await broker.api('GET', `/v2/connect/connectors?${query}`)).is(400, 'invalid_request');
    }
  },

  async '42 list-v2-shape'() {
    const { body } = (await broker.api('GET', '/v2/connect/connectors?limit=1')).is(200);
    assert.equal(body.connectors.length, 1);
    assert.equal(typeof body.pagination.next, 'string');
    assert.equal((await broker.api('GET', '/v2/connect/connectors?limit=100')).is(200).body.pagination.next, null);
    // Links, from either end, in the documented shape.
    const made = await broker.connector(oauth());
    (await broker.api('POST', linkPath(made.id, other.id), { json: { environments: ['preview'] } })).is(200);
    const path = `/v2/connect/connectors/${made.id}/projects`;
    const first = (await broker.api('GET', `${path}?limit=1`)).is(200).body;
    const second = (await broker.api('GET', `${path}?limit=1&cursor=${encoded(first.pagination.next)}`)).is(200).body;
    const linked = [...first.projects, ...second.projects];
    assert.deepEqual(linked.map(({ connectorId, project, enabledEnvironments }) => [connectorId, project.name, enabledEnvironments.length]), [[made.id, dev.projectName, 3], [made.id, 'unlinked', 1]]);
    assert.equal(second.pagination.next, null);
    const { connectors, pagination } = (await broker.api('GET', `/v2/connect/projects/${other.id}/connectors`)).is(200).body;
    assert.deepEqual(connectors.map(({ connectorId, project, connector }) => [connectorId, project.id, connector.uid]), [[made.id, other.id, made.uid]]);
    assert.equal(pagination.next, null);
    for (const name of ['createdAt', 'updatedAt']) assert.ok(Number.isInteger(connectors[0][name]), name);
  },
};
