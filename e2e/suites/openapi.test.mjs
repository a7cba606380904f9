// The description of the API: valid, complete, and kept.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { startBroker } from '../broker.mjs';

let broker, paths;

before(async () => {
  broker = await startBroker();
  paths = broker.description.document.paths;
});

after(() => broker?.stop());

/** Every method of every path. */
const operations = () =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );

test('the description is a valid OpenAPI document', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(broker.description.document));
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.equal(validator.version, '3.1');
});

test('every route that is described is there, and refuses a stranger as it says', async () => {
  assert.ok(operations().length > 60);
  for (const { method, path, operation } of operations()) {
    const named = path.replaceAll(/\{[^}]+\}/g, 'nothing');
    const json = operation.requestBody && {};
    const answer = await broker.api(method, named, { as: null, json });
    assert.notEqual(answer.status, 405, `${method} ${path}`);
    assert.doesNotMatch(answer.text, /nothing at this path/, `${method} ${path}`);
    if (operation.security.length > 0) answer.is(401, 'unauthorized');
  }
});

test('what a query names and nobody has is refused as it is described', async () => {
  for (const path of ['/v1/connect/connectors?projectId=', '/v2/connect/connectors?projectId=', '/v1/audit?connector=']) {
    for (const name of ['', 'nothing']) (await broker.api('GET', path + name)).is(404, 'not_found');
  }
});

test('a refusal has the one shape, whatever the route', async () => {
  const refusal = (await broker.api('GET', '/v1/connect/connectors', { as: 'nobody' })).is(401).body;
  assert.deepEqual(Object.keys(refusal), ['error']);
  const codes = broker.description.document.components.schemas.Refusal.properties.error.properties.code.enum;
  assert.ok(codes.includes(refusal.error.code));
});

test('a description that does not fit an answer is noticed', async () => {
  const answer = await broker.api('GET', '/v2/user');
  const { user } = answer.body;
  const with_ = (body) => ({ status: 200, body, text: JSON.stringify(body) });
  assert.throws(() => broker.description.check('GET', '/v2/user', with_({ user: { ...user, secret: 'x' } })));
  assert.throws(() => broker.description.check('GET', '/v2/user', with_({ user: { ...user, id: 'ada' } })));
  assert.throws(() => broker.description.check('GET', '/v2/user', { status: 418, text: '' }));
});
