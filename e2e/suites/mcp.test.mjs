// The address of an MCP server is enough: Carnet finds its authorization server, registers itself there, sends the
// person with a pushed request, and the official client uses the token. What was registered is looked after and taken
// back. People without a browser in reach enter a code instead.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { BINARY, startBroker } from '../broker.mjs';
import { startAuthorizationServer, startMcpServer } from '../peers/start.mjs';
import { Visitor } from '../visitor.mjs';

const RETURN = 'https://app.example.test/back';
const run = promisify(execFile);

let broker, peer, mcp;
let people = 0;
const somebody = () => ({ type: 'user', id: `mcp-${++people}` });

before(async () => {
  broker = await startBroker();
  peer = await startAuthorizationServer([`${broker.url}/callback`], {}, ['--full', '--pushed']);
  mcp = await startMcpServer(peer.issuer);
});

after(async () => {
  await broker?.stop();
  await mcp?.stop();
  await peer?.stop();
});

beforeEach(() => peer.forget());

/** The command line, as a person uses it. */
async function carnet(...words) {
  const env = { PATH: process.env.PATH, HOME: broker.folder, CARNET_URL: broker.url, CARNET_TOKEN: broker.dev.accessToken, CARNET_PROJECT: broker.dev.projectId };
  try {
    const { stdout, stderr } = await run(BINARY, [...words, '--no-color'], { cwd: broker.folder, env });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

async function create(name, ...more) {
  const done = await carnet('connect', 'create', mcp.address, '--name', name, '--json', ...more);
  assert.equal(done.code, 0, done.stderr + done.stdout);
  return JSON.parse(done.stdout);
}

async function shown(uid) {
  return (await broker.api('GET', `/v1/connect/connectors/${encodeURIComponent(uid)}`)).is(200).body;
}

async function consent(uid, subject, more = {}) {
  const { url } = (await broker.authorize(uid, subject, { returnUrl: RETURN, ...more })).is(200).body;
  const end = await new Visitor().consent(url, RETURN);
  assert.match(end.url, /status=success/, `${end.url}\n${end.text}`);
}

const paths = async (path) => (await peer.events()).filter((event) => event.path.startsWith(path));

/** What the official client is told by the tool. */
async function whoami(token) {
  const client = new Client({ name: 'suite', version: '1' });
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(mcp.address), { requestInit: { headers } }));
  const answer = await client.callTool({ name: 'whoami' });
  await client.close();
  return JSON.parse(answer.content[0].text);
}

describe('an MCP server by its address', () => {
  let made;

  test('one command makes the connector, and nothing is pasted', async () => {
    made = await create('tool');
    const { data } = await shown(made.uid);
    assert.equal(data.resource, mcp.address);
    assert.equal(data.serverConfig.issuer, peer.issuer);
    assert.deepEqual(data.userAuthorization, { enabled: true, scopes: ['offline_access', 'read'] }, 'as the refusal says');
    assert.equal(data.clientRegistration.clientId, data.clientId);
    assert.deepEqual((await paths('/reg')).map((event) => [event.method, event.status]), [['POST', 201]]);
    const again = await carnet('create', mcp.address, '--name', 'tool');
    assert.notEqual(again.code, 0);
    assert.equal((await paths('/reg')).length, 1, 'who tries again registers no second client');
  });

  test('a person consents, and the official client works with the token', async () => {
    const alice = somebody();
    await consent(made.uid, alice);
    assert.deepEqual((await paths('/request')).map((event) => event.status), [201], 'the request was pushed');
    const { token } = (await broker.token(made.uid, alice)).is(200).body;
    const { clientId } = (await shown(made.uid)).data;
    assert.deepEqual(await whoami(token), { sub: 'alice', scopes: ['read'], clientId });
  });

  test('a refreshed token is for the same resource', async () => {
    const bob = somebody();
    await peer.ttl(2);
    await consent(made.uid, bob);
    const first = (await broker.token(made.uid, bob, { validityBufferMs: 0 })).is(200).body;
    await sleep(first.expiresAt - Date.now() + 200);
    await peer.ttl(60);
    const second = (await broker.token(made.uid, bob, { validityBufferMs: 0 })).is(200).body;
    assert.notEqual(second.token, first.token);
    assert.equal((await whoami(second.token)).sub, 'alice');
  });

  test('authorization details go all the way and come back no wider', async () => {
    const carol = somebody();
    const authorizationDetails = [{ type: 'repo_access', actions: ['read'] }];
    const { data } = await shown(made.uid);
    assert.deepEqual(data.clientRegistration.metadata.authorization_details_types, ['repo_access']);
    await peer.ttl(2);
    await consent(made.uid, carol, { authorizationDetails });
    const first = (await broker.token(made.uid, carol, { validityBufferMs: 0 })).is(200).body;
    await sleep(first.expiresAt - Date.now() + 200);
    await peer.ttl(60);
    // What was consented to comes with the renewed token as well, and is no more than was asked.
    const second = (await broker.token(made.uid, carol, { validityBufferMs: 0 })).is(200).body;
    assert.notEqual(second.token, first.token);
  });

  test('a new name is told to the server, and removing the connector takes the client back', async () => {
    const path = `/v1/connect/connectors/${encodeURIComponent(made.uid)}`;
    const renamed = (await broker.api('PATCH', path, { json: { name: 'Renamed tool' } })).is(200).body;
    assert.deepEqual(renamed.serviceSync, { status: 'done' });
    assert.deepEqual((await paths('/reg')).map((event) => [event.method, event.clientName]), [['PUT', 'Renamed tool']]);
    // The server gave a new registration token with that answer, and the next change works with it.
    const again = (await broker.api('PATCH', path, { json: { name: 'Twice' } })).is(200).body;
    assert.deepEqual(again.serviceSync, { status: 'done' });
    const { token } = (await broker.token(made.uid, await consentedSomebody(made.uid))).is(200).body;
    assert.equal((await whoami(token)).sub, 'alice');
    assert.equal((await carnet('check', made.uid)).code, 0);
    await peer.forget();
    (await broker.api('DELETE', path)).is(204);
    assert.deepEqual((await paths('/reg')).map((event) => [event.method, event.status]), [['DELETE', 204]]);
  });

  async function consentedSomebody(uid) {
    const subject = somebody();
    await consent(uid, subject);
    return subject;
  }
});

describe('a person without a way back', () => {
  const data = { deviceAuthorization: { enabled: true } };

  /** Enters the code on the server's own pages. */
  async function enter(there, answer = 'alice') {
    await peer.person(answer);
    const visitor = new Visitor();
    let page = await visitor.open(there);
    for (let turn = 0; turn < 4; turn++) {
      const form = page.forms.find((form) => form.method === 'POST');
      if (!form) return page;
      page = await visitor.follow(await visitor.ask(form.action, { method: 'POST', form: { ...form.fields, confirm: 'yes' } }));
    }
    return page;
  }

  const connector = () => broker.connector({ service: mcp.address, name: `device-${++people}`, type: 'oauth', data });

  test('the page shows the code, and the application is connected once it was entered', async () => {
    const { uid } = await connector();
    const dora = somebody();
    const started = (await broker.authorize(uid, dora, { returnUrl: RETURN })).is(200).body;
    const visitor = new Visitor();
    const waiting = await visitor.decide(await visitor.open(started.url), 'allow', 'nowhere').catch(() => undefined);
    assert.equal(waiting, undefined, 'the page looks again by itself');
    const page = await visitor.ask(started.url);
    const [, there] = page.text.match(/<a class="btn main" href="([^"]+)"/);
    assert.match(page.text, /Enter this code at/);
    assert.ok(there.startsWith(peer.issuer), there);
    await enter(there.replaceAll('&#38;', '&'));
    const { token } = await eventually(uid, dora);
    assert.equal((await whoami(token)).sub, 'alice');
    const end = await visitor.ask(new URL(page.next, page.url).href);
    assert.ok(end.next.startsWith(RETURN), 'then the page goes on to the application');
  });

  test('whoever closes the page is connected all the same, and who says no is not', async () => {
    const { uid } = await connector();
    for (const [answer, connected] of [['alice', true], ['alice refuses', false]]) {
      const subject = somebody();
      const { url, verifier } = (await broker.authorize(uid, subject)).is(200).body;
      const visitor = new Visitor();
      await visitor.decide(await visitor.open(url), 'allow', 'nowhere').catch(() => undefined);
      const [, there] = (await visitor.ask(url)).text.match(/<a class="btn main" href="([^"]+)"/);
      await enter(there.replaceAll('&#38;', '&'), answer);
      if (connected) await eventually(uid, subject);
      else assert.equal((await ended(verifier)).status, 'canceled');
    }
  });

  async function eventually(uid, subject) {
    for (const start = Date.now(); ; await sleep(500)) {
      const answer = await broker.token(uid, subject, { validityBufferMs: 0 });
      if (answer.status === 200) return answer.body;
      assert.ok(Date.now() - start < 30_000, `still ${answer.text}`);
    }
  }

  async function ended(verifier) {
    for (const start = Date.now(); ; await sleep(500)) {
      const { body } = (await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200);
      if (body.status !== 'pending') return body;
      assert.ok(Date.now() - start < 30_000, `still ${body.status}`);
    }
  }
});

describe('a client that is the address of a document of ours', () => {
  // The address must be https, which a development server is not; the peer is told where to find it.
  const ORIGIN = 'https://carnet.example.test';
  let made, own;

  before(async () => {
    made = await broker.connector({
      type: 'oauth',
      service: 'peer.example.test',
      name: 'document',
      data: {
        clientId: 'brought',
        serverUrl: peer.issuer,
        tokenEndpointAuthMethod: 'none',
        userAuthorization: { enabled: true, scopes: ['openid', 'offline_access', 'read'] },
        authorizationUrlParams: { prompt: 'consent' },
      },
    });
    own = `${ORIGIN}/clients/${broker.dev.teamId}/${made.id}`;
    const data = { clientId: own, clientRegistration: { method: 'document', clientId: own } };
    (await broker.api('PATCH', `/v1/connect/connectors/${made.id}`, { json: { data } })).is(200);
    await peer.host(ORIGIN, broker.url);
    // Whoever came before may have said no.
    await peer.person('alice');
  });

  test('the server reads it, and nobody registers anything', async () => {
    const alice = somebody();
    await peer.ttl(2);
    await consent(made.uid, alice);
    const events = await peer.events();
    assert.deepEqual(events.filter((event) => event.read).map((event) => event.read), [own]);
    assert.deepEqual(events.filter((event) => event.path.startsWith('/reg')), []);
    assert.ok(events.some((event) => event.path === '/token' && event.client === own && event.status === 200));
    const first = (await broker.token(made.uid, alice, { validityBufferMs: 0 })).is(200).body;
    await sleep(first.expiresAt - Date.now() + 200);
    await peer.ttl(60);
    const second = (await broker.token(made.uid, alice, { validityBufferMs: 0 })).is(200).body;
    assert.notEqual(second.token, first.token);
    const me = await fetch(`${peer.issuer}/me`, { headers: { authorization: `Bearer ${second.token}` } });
    assert.equal((await me.json()).sub, 'alice');
  });

  test('what it reads says no secret, and names nobody but itself', async () => {
    const answer = await fetch(own.replace(ORIGIN, broker.url));
    assert.equal(answer.status, 200);
    const document = await answer.json();
    assert.equal(document.client_id, own);
    assert.deepEqual(document.redirect_uris, [`${broker.url}/callback`]);
    assert.equal(document.token_endpoint_auth_method, 'none');
    assert.ok(!Object.keys(document).some((name) => name.includes('secret')));
  });

  test('an address at which there is no such document is no client', async () => {
    const other = await broker.connector({
      type: 'oauth',
      service: 'peer.example.test',
      name: 'strange',
      data: { clientId: `${own}x`, serverUrl: peer.issuer, tokenEndpointAuthMethod: 'none', userAuthorization: { scopes: ['read'] } },
    });
    const { url } = (await broker.authorize(other.uid, somebody(), { returnUrl: RETURN })).is(200).body;
    const end = await new Visitor().consent(url, RETURN).catch((error) => ({ url: '', text: String(error) }));
    assert.doesNotMatch(end.url, /status=success/);
    assert.ok((await peer.events()).some((event) => event.path === '/request' && event.error === 'invalid_client'));
  });
});
