// The HTTP contract that the official clients rely on, one case per row of the table. The numbers are those of the
// contract's list of black-box cases.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import connectors from '../wire/connectors.mjs';
import consent from '../wire/consent.mjs';
import links from '../wire/links.mjs';
import lists from '../wire/lists.mjs';
import { TABLE, TRAPS } from '../wire/table.mjs';
import tokens from '../wire/tokens.mjs';
import { APP, broker, consented, encoded, HELLO, otherToken, start, stop } from '../wire/world.mjs';

before(start);
after(stop);

const CASES = Object.entries({ ...tokens, ...consent, ...lists, ...connectors, ...links });
const number = ([name]) => Number.parseInt(name, 10);

test('every number of the table has a test of its name, or says why not', async () => {
  assert.deepEqual(TABLE.map((row) => row.number), Array.from({ length: 78 }, (_, at) => at + 1));
  for (const row of TABLE) {
    const here = CASES.filter((one) => number(one) === row.number).map(([name]) => name);
    assert.deepEqual(here, row.suite || row.later ? [] : [`${row.number} ${row.name}`]);
    if (!row.suite) continue;
    const suite = await readFile(new URL(row.suite, import.meta.url), 'utf8');
    assert.ok(suite.includes(`case ${row.number} ${row.name}`), `${row.suite} does not try case ${row.number}`);
  }
});

test('each of the fifteen traps has a case that is tried', () => {
  assert.equal(TRAPS.length, 15);
  const tried = new Set(TABLE.filter((row) => !row.later).map((row) => row.number));
  for (const { trap, cases = [], theirs } of TRAPS) {
    assert.ok(theirs ? cases.length === 0 : cases.length > 0, trap);
    for (const one of cases) assert.ok(tried.has(one), `${trap}: case ${one}`);
  }
});

for (const [name, check] of CASES.sort((one, another) => number(one) - number(another))) test(`case ${name}`, check);

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
