// Provider events on their way through: what Slack signs comes in, and what the official verifiers take goes out.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decodeJwt } from 'jose';
import { BINARY, startBroker } from '../broker.mjs';
import { certificateFor } from '../peers/certificate.mjs';
import { startEmulator } from '../peers/start.mjs';

const ISSUER_HOST = 'oidc.vercel.com';
const SECRET = 'slack-signing-secret';
const data = {
  clientId: '12345.67890',
  clientSecret: 'slack-client-secret',
  signingSecret: SECRET,
  botScopes: ['chat:write'],
  userScopes: [],
};

let broker, slack, connector, app, owner, certificate;

before(async () => {
  slack = await startEmulator('slack');
  // The deployment owns the name that the official verifiers pin: here a server beside it, with a certificate that they
  // are told to trust.
  const flags = ['--provider-origin', `https://slack.com=${slack.url}`, '--issuer', `https://${ISSUER_HOST}`];
  broker = await startBroker({ flags });
  broker.secrets.add(SECRET);
  owner = await ownedName();
  app = await startApp();
  const json = { type: 'slack', service: 'slack', name: 'bot', uid: 'slack/bot', data, triggers: { enabled: true } };
  connector = await broker.connector(json);
  const { projectId } = broker.dev;
  const urls = [
    { environment: 'production', url: app.url },
    { environment: 'preview', url: `${app.url}/of/{branch}` },
  ];
  (await broker.api('PUT', `/v1/projects/${projectId}/urls`, { json: { urls } })).is(200);
  const destinations = [{ projectId, path: '/hook' }, { projectId, path: '/hook', branch: 'fix/bot' }];
  const path = `/v1/connect/connectors/${connector.id}/trigger-destinations`;
  const set = (await broker.api('PATCH', path, { json: { destinations } })).is(200).body;
  assert.deepEqual([set.supportsTriggers, set.triggerDestinations], [true, destinations]);
});

after(async () => {
  await app?.stop();
  await owner?.stop();
  await broker?.stop();
  await slack?.stop();
});

async function listening(server, more) {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { port, url: `http://127.0.0.1:${port}`, stop, ...more };
}

/** The key set of the broker at the name that the verifiers pin. */
async function ownedName() {
  const { cert, key } = certificateFor(ISSUER_HOST);
  certificate = join(broker.folder, 'owner.pem');
  await writeFile(certificate, cert);
  return listening(createTlsServer({ cert, key }, async (request, response) => {
    const answer = await fetch(broker.url + request.url);
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  }));
}

/** An app that keeps what it gets and answers as it was told. */
async function startApp() {
  const got = [];
  const next = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    got.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks), at: Date.now() });
    response.writeHead(next.shift() ?? 204).end();
  });
  const until = async (count, path) => {
    for (const start = Date.now(); ; await sleep(20)) {
      const found = got.filter((one) => one.path === path);
      if (found.length >= count) return found;
      assert.ok(Date.now() - start < 60_000, `${found.length} of ${count} at ${path}`);
    }
  };
  return listening(server, { got, next, until });
}

let count = 0;
/** An event as Slack sends it, with bytes that nobody would write again in the same way. */
const event = () => `{ "type":"event_callback","team_id":"T1", "event_id":"Ev${++count}","event":{"type":"app_mention","text":"h\u00e9 \\u00e9"} }`;

/** Sends it to the intake, signed. */
async function send(body, { secret = SECRET, to = connector.id, sent = body } = {}) {
  const at = Math.floor(Date.now() / 1000);
  const signature = `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`;
  const headers = { 'content-type': 'application/json', 'x-slack-request-timestamp': `${at}`, 'x-slack-signature': signature };
  return fetch(`${broker.url}/connect/trigger/${to}`, { method: 'POST', headers, body: sent });
}

const deliveries = async () =>
  (await broker.api('GET', `/v1/connect/connectors/${connector.id}/deliveries`)).is(200).body.deliveries;

/** The deliveries of the newest event, when all of them have ended. */
async function ended() {
  for (const start = Date.now(); ; await sleep(50)) {
    const [first, second] = await deliveries();
    if (first.state !== 'waiting' && second.state !== 'waiting') return [first, second];
    assert.ok(Date.now() - start < 60_000, JSON.stringify([first, second]));
  }
}

/** What the official TypeScript verifier says to a request, in a deployment of this project and environment. */
async function verified({ headers, body }, environment, projectId = broker.dev.projectId) {
  const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', path('elsewhere.mjs'), path('webhook-verifier.mjs')], {
    env: {
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: certificate,
      CARNET_TEST_HOST: ISSUER_HOST,
      CARNET_TEST_HOST_PORT: `${owner.port}`,
      VERCEL_PROJECT_ID: projectId,
      VERCEL_TARGET_ENV: environment,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ headers: { authorization: headers.authorization }, body: body.toString() }));
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text);
}

test('case 68 trigger-forward', async () => {
  const body = event();
  const answer = await send(body);
  assert.deepEqual([answer.status, await answer.text()], [200, '']);
  for (const [path, environment] of [['/hook', 'production'], ['/of/fix-bot/hook', 'preview']]) {
    const [got] = await app.until(1, path);
    assert.equal(got.body.toString(), body, 'identical bytes');
    assert.match(got.headers['x-slack-signature'], /^v0=/);
    assert.deepEqual(await verified(got, environment), { accepted: true });
    const claims = decodeJwt(got.headers.authorization.replace('Bearer ', ''));
    const { teamSlug, teamId, projectId, projectName } = broker.dev;
    assert.equal(claims.iss, `https://${ISSUER_HOST}/${teamSlug}`);
    assert.equal(claims.aud, app.url + path);
    assert.equal(claims.sub, `owner:${teamSlug}:project:${projectName}:environment:${environment}`);
    assert.deepEqual([claims.owner_id, claims.project_id, claims.environment], [teamId, projectId, environment]);
    assert.equal(claims.client_id, 'api-connex');
    assert.deepEqual(claims.trigger, { id: connector.id, uid: 'slack/bot', type: 'slack', service: 'slack' });
    assert.equal(claims.body_sha256, createHash('sha256').update(body).digest('hex'));
    assert.equal(claims.exp - claims.iat, 300);
    assert.equal(claims.jti, `${got.headers['webhook-id']}.1`);
  }
});

test('case 69 trigger-bad-signature', async () => {
  const before = [app.got.length, (await deliveries()).length];
  const body = event();
  const tampered = await send(body, { sent: body.replace('app_mention', 'app_mentioN') });
  const refused = await tampered.json();
  assert.deepEqual([tampered.status, refused.error.code], [401, 'unauthorized']);
  for (const options of [{ secret: 'another' }, { to: 'scl_0000000000000000000000' }]) {
    const answer = await send(body, options);
    assert.deepEqual([answer.status, await answer.json()], [401, refused], 'no telling them apart');
  }
  assert.equal((await fetch(`${broker.url}/connect/trigger/${connector.id}`, { method: 'POST', body })).status, 401);
  await sleep(1000);
  assert.deepEqual([app.got.length, (await deliveries()).length], before, 'nothing is forwarded');
});

test('case 70 trigger-retry', async () => {
  const path = `/v1/connect/connectors/${connector.id}/trigger-destinations`;
  const destinations = [{ projectId: broker.dev.projectId, path: '/again' }];
  (await broker.api('PATCH', path, { json: { destinations } })).is(200);
  app.next.push(503, 503, 200);
  await send(event());
  const tried = await app.until(3, '/again');
  assert.equal(new Set(tried.map((one) => one.headers['webhook-id'])).size, 1);
  assert.equal(new Set(tried.map((one) => one.headers.authorization)).size, 3);
  assert.ok(tried[2].at - tried[0].at < 30_000, 'within seconds');
  const [taken] = await ended();
  const one = (await broker.api('GET', `/v1/connect/connectors/${connector.id}/deliveries/${taken.id}`)).is(200).body;
  assert.deepEqual(one.attempts.map((attempt) => attempt.status), [503, 503, 200]);
  app.next.push(400);
  await send(event());
  await app.until(4, '/again');
  const [dead] = await ended();
  assert.deepEqual([dead.state, dead.attemptCount, dead.status], ['dead', 1, 400]);
  const replay = `/v1/connect/connectors/${connector.id}/deliveries/${dead.id}/replay`;
  (await broker.api('POST', replay)).is(200);
  assert.equal((await app.until(5, '/again'))[4].headers['webhook-id'], dead.id);
});

test('case 71 trigger-wrong-env-token', async () => {
  const [preview] = await app.until(1, '/of/fix-bot/hook');
  const { refused } = await verified(preview, 'production');
  assert.match(refused, /environment claim to be "production"/);
  const elsewhere = await verified(preview, 'preview', 'prj_0000000000000000000000');
  assert.match(elsewhere.refused, /project_id claim/);
  assert.deepEqual(await verified(preview, 'preview'), { accepted: true });
});

test('the command line sets up, shows and replays', async () => {
  const run = promisify(execFile);
  const env = { PATH: process.env.PATH, HOME: broker.folder, CARNET_URL: broker.url, CARNET_TOKEN: broker.dev.accessToken };
  const carnet = async (...words) => JSON.parse((await run(BINARY, [...words, '--json'], { cwd: broker.folder, env })).stdout);
  const project = ['-p', broker.dev.projectId];
  const qa = (await broker.api('POST', `/v9/projects/${broker.dev.projectId}/custom-environments`, { json: { slug: 'qa' } })).is(200).body;
  const { urls } = await carnet('projects', 'url', broker.dev.projectId, '--set', `qa=${app.url}/qa`);
  assert.deepEqual(urls.map((one) => one.environment).sort(), ['preview', 'production', qa.id].sort());
  const attached = await carnet('attach', 'slack/bot', ...project, '--triggers', '--trigger-environment', 'qa', '--trigger-path', '/in', '--yes');
  assert.deepEqual(attached.triggerDestination, { projectId: broker.dev.projectId, path: '/in', customEnvironmentId: qa.id });
  await writeFile(join(broker.folder, 'new-secret'), 'another-signing-secret\n');
  await carnet('update', 'slack/bot', '--signing-secret', '@new-secret', '--trigger-event', 'app_mention');
  app.next.push(200, 404);
  assert.equal((await send(event(), { secret: 'another-signing-secret' })).status, 200);
  await app.until(1, '/qa/in');
  await ended();
  const { deliveries: dead } = await carnet('deliveries', 'list', 'slack/bot', '--state', 'dead', '--limit', '1');
  assert.equal(dead[0].attemptCount, 1);
  const one = await carnet('deliveries', 'show', 'slack/bot', dead[0].id);
  assert.equal(one.attempts[0].status, 404);
  assert.equal((await carnet('deliveries', 'replay', 'slack/bot', dead[0].id)).id, dead[0].id);
  await carnet('update', 'slack/bot', '--no-triggers');
  assert.equal((await send(event(), { secret: 'another-signing-secret' })).status, 401);
});
