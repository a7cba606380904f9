// Workload identities, judged by others: what this server accepts, `jose` and PyJWT accept too under the same policy.
// Tokens are mutated by a seed that is printed; CARNET_TEST_LONG=1 tries many more.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { CompactSign, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { startBroker } from '../broker.mjs';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const ISSUER = 'https://ci.example.test';
const COUNT = process.env.CARNET_TEST_LONG ? 20_000 : 300;
const SEED = Number(process.env.CARNET_TEST_SEED ?? Date.now() % 1_000_000);

let broker, audience, jwks, keys;

before(async () => {
  broker = await startBroker();
  audience = `${broker.url}/${broker.dev.teamSlug}`;
  keys = {};
  const published = [];
  for (const alg of ALGORITHMS) {
    const pair = await generateKeyPair(alg, { extractable: true });
    keys[alg] = pair.privateKey;
    published.push({ ...(await exportJWK(pair.publicKey)), kid: alg, alg, use: 'sig' });
  }
  jwks = { keys: published };
  const json = {
    issuer: ISSUER,
    jwks,
    audiences: [audience],
    algorithms: ALGORITHMS,
    types: ['JWT'],
    rules: [{ project: broker.dev.projectId, environment: 'production', claims: { repository_id: '74' } }],
  };
  assert.equal((await broker.api('POST', '/v1/trusted-issuers', { json })).status, 201);
});

after(() => broker?.stop());

/** Numbers from a seed (mulberry32), so that a failure can be had again. */
function dice(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const claims = () => {
  const now = Math.floor(Date.now() / 1000);
  return { iss: ISSUER, aud: audience, sub: 'repo:acme/shop', repository_id: '74', iat: now, nbf: now, exp: now + 600 };
};

const sign = (alg, header, payload) =>
  new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader({ alg, kid: alg, typ: 'JWT', ...header }).sign(keys[alg]);

const VALUES = [null, true, 0, -1, 1e30, 1.5, '', 'x', [], {}, ['x'], '4102444800', 4102444800, 253402300799];
const NAMES = ['iss', 'aud', 'sub', 'exp', 'iat', 'nbf', 'jti', 'repository_id', 'x'];

/** A token that was changed: before it was signed, which a verifier can only tell by its meaning, or after. */
async function mutated(roll) {
  const alg = ALGORITHMS[roll(ALGORITHMS.length)];
  const payload = claims();
  const kind = roll(6);
  if (kind === 0) {
    const name = NAMES[roll(NAMES.length)];
    if (roll(4) === 0) delete payload[name];
    else payload[name] = roll(5) === 0 ? [payload[name]] : VALUES[roll(VALUES.length)];
    return sign(alg, {}, JSON.stringify(payload));
  }
  if (kind === 1) {
    const [typ, kid] = [['jwt', 'application/jwt', 'at+jwt', 'JOSE'][roll(4)], ALGORITHMS[roll(ALGORITHMS.length)]];
    return sign(alg, roll(2) ? { typ } : { kid }, JSON.stringify(payload));
  }
  if (kind === 2) {
    const text = JSON.stringify(payload);
    const at = roll(text.length);
    return sign(alg, {}, text.slice(0, at) + '{}[]",:0x \\'[roll(11)] + text.slice(at + roll(2)));
  }
  const token = await sign(alg, {}, JSON.stringify(payload));
  const at = roll(token.length);
  if (kind === 3) return token.slice(0, at) + 'AQgw-_.=+/'[roll(10)] + token.slice(at + 1);
  if (kind === 4) return token.slice(0, at) + token.slice(at + 1 + roll(3));
  const other = (await sign(ALGORITHMS[roll(ALGORITHMS.length)], {}, JSON.stringify(payload))).split('.');
  const parts = token.split('.');
  parts[roll(3)] = other[roll(3)];
  return parts.join('.');
}

const ours = async (token) => {
  const got = await fetch(`${broker.url}/v1/connect/connectors/demo%2Fhello`, { headers: { authorization: `Bearer ${token}` } });
  await got.arrayBuffer();
  assert.ok([200, 401].includes(got.status), `${got.status} for ${token}`);
  return got.status === 200;
};

const joses = async (token) => {
  try {
    await jwtVerify(token, createLocalJWKSet(jwks), {
      issuer: ISSUER, audience, algorithms: ALGORITHMS, typ: 'JWT', clockTolerance: 30, maxTokenAge: 900,
      requiredClaims: ['sub', 'exp', 'iat'],
    });
    return true;
  } catch {
    return false;
  }
};

const PYTHON = `
import json, sys
import jwt
asked = json.load(sys.stdin)
keys = {jwk["kid"]: jwt.PyJWK(jwk) for jwk in asked["jwks"]["keys"]}
verdicts = []
for token in asked["tokens"]:
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=asked["algorithms"], audience=asked["audience"], issuer=asked["issuer"],
                   leeway=30, options={"require": ["exp", "iat", "sub", "iss", "aud"]})
        verdicts.append(True)
    except Exception as error:
        verdicts.append(repr(error))
json.dump(verdicts, sys.stdout)
`;

async function pyjwts(tokens) {
  const child = spawn(process.env.CARNET_TEST_PYTHON ?? 'python3', ['-c', PYTHON], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stdin.end(JSON.stringify({ tokens, jwks, algorithms: ALGORITHMS, audience, issuer: ISSUER }));
  const [code] = await once(child, 'close');
  assert.equal(code, 0, 'PyJWT is part of what the Python suite installs');
  return JSON.parse(out);
}

test('a sound token of every algorithm is accepted by all three', async () => {
  const tokens = await Promise.all(ALGORITHMS.map((alg) => sign(alg, {}, JSON.stringify(claims()))));
  for (const [at, token] of tokens.entries()) {
    assert.ok(await ours(token), `${ALGORITHMS[at]} by this server`);
    assert.ok(await joses(token), `${ALGORITHMS[at]} by jose`);
  }
  assert.deepEqual(await pyjwts(tokens), tokens.map(() => true));
});

test(`of ${COUNT} mutated tokens (seed ${SEED}) none is accepted here and refused by another`, async () => {
  const roll = dice(SEED);
  const accepted = new Set();
  let refused = 0;
  for (let n = 0; n < COUNT; n++) {
    const token = await mutated(roll);
    if (!(await ours(token))) refused++;
    else accepted.add(token);
  }
  assert.ok(refused > COUNT / 3, `${refused} of ${COUNT} were refused: the mutations bite`);
  assert.ok(accepted.size > 0, 'some leave the meaning alone');
  for (const token of accepted) assert.ok(await joses(token), `jose refuses what was accepted: ${token}`);
  const tokens = [...accepted];
  const verdicts = await pyjwts(tokens);
  for (const [at, verdict] of verdicts.entries()) {
    assert.equal(verdict, true, `PyJWT refuses what was accepted: ${verdict} ${tokens[at]}`);
  }
});
