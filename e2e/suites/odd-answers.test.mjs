// Token endpoints that answer strangely. Whatever comes, a caller gets a usable token or a refusal with a code; never
// more than was asked, never a crash, never the server's words as ours.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { OAuth2Server } from 'oauth2-mock-server';
import { startBroker } from '../broker.mjs';
import { Visitor } from '../visitor.mjs';

const APP = { type: 'app' };
const RETURN = 'https://app.example.test/back';

let broker, server;
let connectors = 0;
const next = [];

before(async () => {
  broker = await startBroker();
  server = new OAuth2Server();
  await server.issuer.keys.generate('RS256');
  await server.start(0, '127.0.0.1');
  server.issuer.url = `http://127.0.0.1:${server.address().port}`;
  server.service.on('beforeResponse', (response) => next.shift()?.(response));
});

after(async () => {
  await server?.stop();
  await broker?.stop();
});

beforeEach(() => {
  next.length = 0;
});

/** A connector that nothing is remembered of. */
function fresh() {
  const data = {
    clientId: 'odd',
    clientSecret: 'odd-secret-of-the-peer',
    serverUrl: server.issuer.url,
    // Its metadata names no method; it takes any.
    tokenEndpointAuthMethod: 'client_secret_post',
    userAuthorization: { enabled: true, scopes: ['read'] },
    refreshTokens: { enabled: true },
    clientCredentials: { enabled: true, scopes: ['read'] },
  };
  return broker.connector({ type: 'oauth', service: 'odd.example.test', name: `odd-${++connectors}`, data });
}

// A buffer larger than any life: every call asks the server.
const ask = ({ uid }, subject = APP, scopes = ['*']) => broker.token(uid, subject, { validityBufferMs: 86_400_000, scopes });
const body = (change) => (response) => change(response.body);
const set = (members) => body((body) => Object.assign(body, members));
const drop = (...names) => body((body) => names.forEach((name) => delete body[name]));
const refuse = (statusCode, members) => (response) => Object.assign(response, { statusCode, body: members });

const HOUR = 3_600_000;
const about = (wanted) => (answer) => {
  const life = answer.is(200).body.expiresAt - Date.now();
  assert.ok(Math.abs(life - wanted) < 60_000, `a life of ${life} ms`);
};
const usable = (answer) => {
  answer.is(200);
  assert.ok(Number.isInteger(answer.body.expiresAt) && answer.body.expiresAt > Date.now(), answer.text);
};
const code = (...codes) => (answer) => assert.ok(codes.includes(answer.code), `${answer.status} ${answer.text}`);
/** A token or a refusal with a code: either is right, a fault of ours is not. */
const sane = (answer) => assert.ok(answer.status === 200 || (answer.code && answer.code !== 'internal'), answer.text);

const ANSWERS = [
  ['as the standard says', () => {}, usable],
  ['expires_in is a text', set({ expires_in: '3600' }), about(HOUR)],
  ['expires_in has a fraction', set({ expires_in: 3600.5 }), about(HOUR)],
  ['no expires_in', drop('expires_in'), usable],
  ['expires_in is zero', set({ expires_in: 0 }), usable],
  ['expires_in is negative', set({ expires_in: -5 }), sane],
  ['expires_in is a year of years', set({ expires_in: 1e15 }), sane],
  ['expires_in is a word', set({ expires_in: 'soon' }), sane],
  ['token_type in lower case', set({ token_type: 'bearer' }), usable],
  ['no token_type', drop('token_type'), sane],
  ['a token type nobody asked for', set({ token_type: 'mac' }), sane],
  ['members nobody knows', set({ x: { y: [1, 2] }, $schema: null }), usable],
  ['no access_token', drop('access_token'), code('provider_answer_invalid')],
  ['an empty access_token', set({ access_token: '' }), code('provider_answer_invalid')],
  ['a number for access_token', set({ access_token: 42 }), code('provider_answer_invalid')],
  ['an access_token with a line break', set({ access_token: 'a\r\nx-evil: 1' }), code('provider_answer_invalid')],
  ['a list', (response) => (response.body = [1]), code('provider_answer_invalid')],
  ['null', (response) => (response.body = null), code('provider_answer_invalid')],
  ['a body without end', set({ padding: 'x'.repeat(4_000_000) }), code('provider_answer_invalid')],
  ['an error with status 200', refuse(200, { error: 'bad_verification_code' }), code('provider_refused', 'provider_answer_invalid')],
  ['more scopes than were named', set({ scope: 'read write admin' }), code('invalid_scope'), ['read']],
  ['other scopes than were named', set({ scope: 'write' }), code('invalid_scope'), ['read']],
  ['the named scopes in another order', set({ scope: 'write read' }), usable, ['read', 'write']],
  ['no scope, which means: as asked', drop('scope'), usable, ['read']],
  ['an empty scope', set({ scope: '' }), sane, ['read']],
  ['scopes as a list', set({ scope: ['read'] }), sane],
  ['an error object instead of a word', refuse(400, { error: { type: 'x', message: 'y' } }), code('provider_refused', 'provider_answer_invalid')],
  ['an error without a body', refuse(400, ''), code('provider_refused', 'provider_answer_invalid')],
  ['invalid_client with status 400', refuse(400, { error: 'invalid_client' }), code('connector_credentials_rejected')],
  ['invalid_scope', refuse(400, { error: 'invalid_scope' }), code('invalid_scope')],
  ['invalid_target', refuse(400, { error: 'invalid_target' }), code('invalid_target')],
  ['invalid_grant without a grant', refuse(400, { error: 'invalid_grant' }), sane],
  ['status 418', refuse(418, { error: 'teapot' }), code('provider_refused', 'provider_answer_invalid')],
];

for (const [what, answer, expected, scopes] of ANSWERS) {
  test(`a token endpoint answers: ${what}`, async () => {
    const connector = await fresh();
    next.push(answer);
    const got = await ask(connector, APP, scopes);
    assert.equal(next.length, 0, 'the server was not asked');
    expected(got);
    if (got.status !== 200) usable(await ask(connector));
  });
}

test('what the server says is passed on as its words, short and clean', async () => {
  const description = `<script>alert(1)</script>\u0000\u001b[31m\u202e${'long '.repeat(200)}`;
  const connector = await fresh();
  next.push(refuse(400, { error: 'access_denied', error_description: description }));
  const answer = await ask(connector);
  const { message, vendor } = answer.body.error;
  assert.ok(!message.includes('script'), message);
  assert.equal(vendor.error, 'access_denied');
  const words = JSON.stringify(vendor);
  assert.ok(words.length < 600, words);
  assert.doesNotMatch(vendor.description ?? vendor.error_description ?? '', /[\u0000-\u001f\u007f\u202e]/);
});

const ALICE = { type: 'user', id: 'alice' };

async function consent(connector) {
  const { url } = (await broker.authorize(connector.uid, ALICE, { returnUrl: RETURN })).is(200).body;
  const end = await new Visitor().consent(url, RETURN);
  assert.ok(end.url.startsWith(`${RETURN}?`) && end.url.includes('status=success'), `${end.status} ${end.url}\n${end.text}`);
}

test('a server that gives no new refresh token keeps the old one valid', async () => {
  const connector = await fresh();
  next.push(set({ scope: 'read' }));
  await consent(connector);
  for (let round = 0; round < 3; round++) {
    next.push((response) => (delete response.body.refresh_token, (response.body.scope = 'read')));
    (await ask(connector, ALICE)).is(200);
    assert.equal(next.length, 0, 'the server was asked');
  }
});

test('a server that calls the scopes by other names gives tokens as granted', async () => {
  // Google answers `email` with `https://www.googleapis.com/auth/userinfo.email`.
  const connector = await fresh();
  const other = set({ scope: 'https://api.example.test/auth/read' });
  next.push(other);
  await consent(connector);
  for (let round = 0; round < 2; round++) {
    next.push(other);
    (await ask(connector, ALICE)).is(200);
    next.length = 0;
  }
});

test('a connector whose server does not promise to name itself has a redirect address of its own', async () => {
  const connector = await fresh();
  assert.equal(connector.redirectUri, `${broker.url}/callback/${connector.id}`);
});
