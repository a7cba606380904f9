// Connectors with a key of their own, against a certified authorization server: the client proves itself by its key, an
// identity is asserted, a token is exchanged for another. The server reads the key where the broker publishes it.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { startAuthorizationServer } from '../peers/start.mjs';

let broker, peer;
let count = 0;

before(async () => {
  broker = await startBroker();
  peer = await startAuthorizationServer([`${broker.url}/callback`]);
});

after(async () => {
  await broker?.stop();
  await peer?.stop();
});

beforeEach(() => peer.forget());

/** A connector that is known to the server by its key alone. */
async function keyed(signingAlgorithm, data = {}) {
  const id = `keyed-${++count}`;
  const connector = await broker.connector({
    type: 'oauth',
    service: 'peer.example.test',
    name: id,
    data: {
      clientId: id,
      serverUrl: peer.issuer,
      tokenEndpointAuthMethod: 'private_key_jwt',
      signingAlgorithm,
      userAuthorization: { enabled: false },
      clientCredentials: { enabled: true, scopes: ['read'] },
      jwtBearer: { scopes: ['read', 'write'] },
      tokenExchange: { scopes: ['read'] },
      ...data,
    },
  });
  const { jwksUri } = (await broker.api('GET', `/v1/connect/connectors/${connector.id}/keys`)).is(200).body;
  await peer.client(id, jwksUri);
  return connector;
}

const token = (connector, subject, more = {}) =>
  broker.token(connector.uid, subject, { validityBufferMs: 86_400_000, ...more });
const asserted = (sub) => ({ type: 'jwt-bearer', sub });

for (const algorithm of ['RS256', 'ES256']) {
  describe(`a connector that signs with ${algorithm}`, () => {
    let connector;
    before(async () => (connector = await keyed(algorithm)));

    test('proves itself by its key', async () => {
      (await token(connector, { type: 'app' })).is(200);
      assert.deepEqual((await peer.events()).map(({ status, client }) => [status, client]), [[200, connector.data.clientId]]);
    });

    test('gets a token for the identity it asserts, and another for another', async () => {
      const alice = (await token(connector, asserted('alice'))).is(200).body;
      const bob = (await token(connector, asserted('bob'))).is(200).body;
      assert.notEqual(alice.token, bob.token);
      const events = await peer.events();
      assert.deepEqual(events.map(({ account, scope }) => [account, scope]), [['alice', 'read write'], ['bob', 'read write']]);
    });

    test('exchanges a token for one with fewer scopes, of the same person', async () => {
      const inbound = (await token(connector, asserted('carol'))).is(200).body.token;
      const traded = (await token(connector, { type: 'token', token: inbound })).is(200).body;
      assert.notEqual(traded.token, inbound);
      assert.equal(traded.metadata.issuedTokenType, 'urn:ietf:params:oauth:token-type:access_token');
      const { account, scope, grantType } = (await peer.events()).at(-1);
      assert.deepEqual([account, scope], ['carol', 'read']);
      assert.match(grantType, /token-exchange$/);
    });

    test('goes on proving itself while its key is turned', async () => {
      const path = `/v1/connect/connectors/${connector.id}/keys`;
      const { keys } = (await broker.api('POST', path, { json: {} })).is(201).body;
      assert.deepEqual(keys.map((key) => key.state), ['active', 'pending']);
      (await token(connector, { type: 'app' })).is(200);
      (await token(connector, asserted('dave'))).is(200);
    });
  });
}

test('a token that the server does not know, and scopes that it does not allow, are refused in its words', async () => {
  const connector = await keyed('ES256', { tokenExchange: { scopes: ['read', 'write'] } });
  const refused = (await token(connector, { type: 'token', token: 'never-issued' })).is(422, 'provider_refused');
  assert.equal(refused.body.error.vendor.error, 'invalid_request');
  const inbound = (await token(connector, asserted('erin'), { scopes: ['read'] })).is(200).body.token;
  (await token(connector, { type: 'token', token: inbound }, { scopes: ['read', 'write'] })).is(422, 'invalid_scope');
});

test('an assertion with a key that the server does not know is the connector\'s fault', async () => {
  const [mine, other] = [await keyed('ES256'), await keyed('ES256')];
  await peer.client(mine.data.clientId, `${broker.url}/connect/jwks/${other.id}`);
  const answer = (await token(mine, { type: 'app' })).is(422, 'connector_credentials_rejected');
  assert.equal(answer.body.error.vendor.error, 'invalid_client');
});
