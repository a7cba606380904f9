// Signing in with a real browser, and signing in the command lines: ours, and the official one with its login library.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BINARY, freePort, startBroker } from '../broker.mjs';
import OAuthLibrary from '@vercel/cli-auth/oauth.js';
import { LOOKS, startBrowser } from '../browser.mjs';
import { startAuthorizationServer } from '../peers/start.mjs';

const { OAuth } = OAuthLibrary;
const EMAIL = 'dev@localhost';
// We take no RSA keys from authenticators; Chromium would have us do.
const KEYS = [/pubKeyCredParams is missing at least one of the default algorithm identifiers/];
const REFUSALS = [/Failed to load resource: the server responded with a status of 4\d\d/];

let broker, browser, hosts;

before(async () => {
  broker = await startBroker();
  browser = await startBrowser();
  hosts = [new URL(broker.url).host];
});

after(async () => {
  await browser?.stop();
  await broker?.stop();
});

async function enter(page, passphrase = broker.dev.passphrase) {
  await page.locator('#email').fill(EMAIL);
  await page.locator('#passphrase').fill(passphrase);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

describe('a person', () => {
  for (const look of LOOKS) {
    test(`signs in, looks at the account, signs out, ${look.colorScheme}, ${look.width} px`, async () => {
      const person = await browser.person({ hosts, ...look });
      const { page } = person;
      await page.goto(`${broker.url}/account`);
      await person.inspect('the page to sign in');
      await enter(page, 'not the passphrase of anybody');
      await page.getByText('No account has this address').waitFor();
      await person.inspect('the page to sign in, wrong', REFUSALS);
      await enter(page);
      await page.waitForURL('**/account');
      await person.inspect('the account');
      await page.getByRole('link', { name: 'Applications for all teams' }).click();
      await page.getByRole('heading', { name: 'Register one' }).waitFor();
      await person.inspect('the applications for all teams');
      await page.goto(`${broker.url}/login/again?to=/account`);
      await person.inspect('signing in again');
      await page.locator('#passphrase').fill(broker.dev.passphrase);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL('**/account');
      await page.getByRole('link', { name: 'Sign out' }).click();
      await person.inspect('signing out');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL('**/login');
      await page.goto(`${broker.url}/account`);
      assert.match(page.url(), /\/login\?to=/);
      await person.stop();
    });
  }

  test('signs in without scripts', async () => {
    const person = await browser.person({ hosts, javaScriptEnabled: false });
    await person.page.goto(`${broker.url}/login`);
    await enter(person.page);
    await person.page.waitForURL('**/account');
    await person.stop();
  });
});

/** A command of ours as a process. */
function run(words) {
  const env = { PATH: process.env.PATH, HOME: broker.folder, XDG_CONFIG_HOME: join(broker.folder, 'settings') };
  return watch(spawn(BINARY, words, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** How a process ends, and what it says meanwhile. */
function watch(child) {
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const said = (pattern) =>
    new Promise((resolve, reject) => {
      const look = () => pattern.test(out + err) && resolve((out + err).match(pattern));
      for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
      child.on('exit', () => reject(new Error(`it ended without saying ${pattern}:\n${out}${err}`)));
      look();
    });
  const ended = new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  return { said, ended };
}

/** A person who is signed in and decides about the code. */
async function decide(code, look, choice = 'Sign it in') {
  const person = await browser.person({ hosts, ...look });
  const { page } = person;
  await page.goto(`${broker.url}/login/device`);
  await enter(page);
  await person.inspect('the page for the code');
  await page.locator('#code').fill(code.toLowerCase());
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Who asks').waitFor();
  await person.inspect('who asks');
  await page.getByRole('button', { name: choice }).click();
  await page.getByRole('heading', { name: /signed in$/ }).waitFor();
  await person.inspect('what became of it');
  await page.goto(`${broker.url}/account`);
  await person.inspect('the account with a command line');
  return person;
}

describe('our command line', () => {
  test('is signed in, acts, and is signed out', async () => {
    const login = run(['login', broker.url, '--device', '--json']);
    const [, code] = await login.said(/The code is ([B-Z]{4}-[B-Z]{4})/);
    await (await decide(code, LOOKS[0])).stop();
    const { code: exit, out } = await login.ended;
    assert.equal(exit, 0, out);
    const { user, file } = JSON.parse(out);
    assert.equal(user.id, broker.dev.userId);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const kept = await readFile(file, 'utf8');

    const who = await run(['whoami', '--json']).ended;
    assert.equal(who.code, 0, who.err);
    assert.equal(JSON.parse(who.out).url, broker.url);
    const out1 = await run(['logout']).ended;
    assert.equal(out1.code, 0, out1.err);
    const { contexts, current } = JSON.parse(kept);
    assert.equal(contexts[current].url, broker.url);
    const access = contexts[current].login.accessToken;
    (await broker.api('GET', '/v2/user', { as: access })).is(401, 'unauthorized');
    const gone = await run(['whoami', '--json']).ended;
    assert.equal(gone.code, 4, gone.out);
  });

  test('is told that somebody said no', async () => {
    const login = run(['login', broker.url, '--device', '--json']);
    const [, code] = await login.said(/The code is ([B-Z]{4}-[B-Z]{4})/);
    await (await decide(code, LOOKS[3], 'No')).stop();
    const { code: exit, out } = await login.ended;
    assert.equal(exit, 6, out);
    assert.equal(JSON.parse(out).error.code, 'access_denied');
  });
});

describe('the link that the official command line opens', () => {
  const code = () => {
    const verifier = randomBytes(37).toString('base64url');
    return [verifier, createHash('sha256').update(verifier).digest('base64url')];
  };
  const result = async (verifier) => (await broker.api('GET', `/v1/connect/result/${verifier}?teamId=${broker.dev.teamId}`)).is(200).body;

  test('leads through signing in and consent to a result', async () => {
    const [verifier, requestCode] = code();
    const person = await browser.person({ hosts });
    const { page } = person;
    const link = `${broker.url}/api/v1/connect/authorize/demo%2Fhello?teamId=${broker.dev.teamId}&request_code=${requestCode}&scopes=*`;
    await page.goto(link);
    await enter(page);
    await page.waitForURL('**/authorize/car_*');
    const request = page.url();
    assert.deepEqual(await result(verifier), { status: 'pending' });
    await page.goto(link);
    assert.equal(page.url(), request, 'the same link leads to the same request');
    await page.locator('button[name=decision][value=allow]').click();
    await page.waitForURL(/\/demo\/authorize/);
    await page.locator('input[name=person]').first().check();
    await page.locator('button[name=decision][value=allow]').click();
    await page.getByText('is connected to').waitFor();
    person.content();
    assert.equal((await result(verifier)).status, 'success');
    (await broker.token('demo/hello', { type: 'user', id: broker.dev.userId }, {}, broker.dev.accessToken)).is(200);
    await person.stop();
  });

  test('says why there is nothing to install, to the person and to the command line', async () => {
    const [verifier, requestCode] = code();
    const person = await browser.person({ hosts });
    const { page } = person;
    await page.goto(`${broker.url}/api/v1/connect/install/demo%2Fhello?teamId=${broker.dev.teamId}&request_code=${requestCode}`);
    await enter(page);
    await page.getByText('nothing to install').waitFor();
    await person.inspect('a refusal', REFUSALS);
    const told = await result(verifier);
    assert.deepEqual([told.status, told.error.code], ['error', 'unresolved_token']);
    await page.goto(`${broker.url}/api/v1/connect/authorize/demo%2Fhello?teamId=team_0000000000000000000000`);
    await page.getByText('This cannot be done').waitFor();
    await page.goto(`${broker.url}/api/v1/connect/authorize/demo%2Fhello?request_code=short`);
    await page.getByText('request_code is a SHA-256 digest').waitFor();
    await person.stop();
  });
});

describe("the official command line's own login library", () => {
  test('signs in, renews, asks what its token is, and signs out', async () => {
    const oauth = await OAuth({ issuer: new URL(broker.url), clientId: 'cl_HYyOPBNtFMfHhaUn9L4QPfTZz6TP47bp', userAgent: 'vercel 60.1.3 node-v22 linux (x64)' }).init();
    const asked = await oauth.deviceAuthorizationRequest();
    const once = async () => oauth.processTokenResponse((await oauth.deviceAccessTokenRequest(asked.device_code))[1]);
    const [pending] = await once();
    assert.equal(pending.code, 'authorization_pending');
    const person = await decide(asked.user_code, LOOKS[1]);
    const [failure, tokens] = await once();
    assert.equal(failure, null);
    await person.page.reload();
    await person.inspect('the account with a command line of the vendor');
    await person.page.getByText('Vercel command line').first().waitFor();
    await person.stop();
    (await broker.api('GET', '/v2/user', { as: tokens.access_token })).is(200);
    const told = await oauth.introspectToken(tokens.access_token);
    assert.equal(told.active, true);
    assert.ok(told.session_id && told.client_id);
    const renewed = await oauth.refreshToken(tokens.refresh_token);
    (await broker.api('GET', '/v2/user', { as: renewed.access_token })).is(200);
    assert.equal(await oauth.revokeToken(renewed.access_token), undefined);
    for (const { access_token } of [tokens, renewed]) (await broker.api('GET', '/v2/user', { as: access_token })).is(401, 'unauthorized');
    await assert.rejects(oauth.refreshToken(renewed.refresh_token));
    assert.equal((await oauth.introspectToken(tokens.access_token)).active, false);
  });
});

describe('an account elsewhere, at a certified provider', () => {
  let open, closed, folder, server;

  before(async () => {
    const port = await freePort();
    const back = (name) => [`http://127.0.0.1:${port}/login/with/${name}/callback`];
    [closed, open] = [await startAuthorizationServer(back('closed')), await startAuthorizationServer(back('open'))];
    folder = await mkdtemp(join(tmpdir(), 'carnet-sign-in-'));
    const file = join(folder, 'sign-in.toml');
    for (const id of ['basic', 'post']) await writeFile(join(folder, id), `${id}-secret-of-the-peer\n`, { mode: 0o600 });
    const issuer = (name, url, client, more = '') =>
      `[[sign_in]]\nname = "${name}"\nlabel = "The ${name} house"\nissuer = "${url}"\nclient_id = "${client}"\nclient_secret_file = "${join(folder, client)}"\n${more}\n`;
    await writeFile(file, issuer('closed', closed.issuer, 'basic') + issuer('open', open.issuer, 'post', 'newcomers = { team = "dev", role = "member" }'));
    server = await startBroker({ port, flags: ['--sign-in', file] });
  });

  after(async () => {
    await server?.stop();
    await open?.stop();
    await closed?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const visit = async () => {
    const person = await browser.person();
    return { person, page: person.page };
  };
  const press = (page, name) => page.getByRole('button', { name }).click();

  test('is linked by its person, signs in, and proves it again', async () => {
    const { person, page } = await visit();
    await page.goto(`${server.url}/login`);
    await press(page, 'Sign in with The closed house');
    await page.getByText('Nobody here has linked this account').waitFor();
    await page.goto(`${server.url}/account`);
    await page.locator('#email').fill(EMAIL);
    await page.locator('#passphrase').fill(server.dev.passphrase);
    await press(page, /^Sign in$/);
    await page.waitForURL('**/account');
    await person.inspect('the account with issuers', REFUSALS);
    await press(page, /Add an account of The closed house/);
    await page.waitForURL('**/account');
    await page.getByText('alice').first().waitFor();
    await person.stop();

    const again = await visit();
    await again.page.goto(`${server.url}/login`);
    await press(again.page, 'Sign in with The closed house');
    await again.page.waitForURL('**/account');
    await again.page.getByText(EMAIL).waitFor();
    await again.page.goto(`${server.url}/login/again?to=/logout`);
    await again.person.inspect('signing in again, with a choice', REFUSALS);
    await press(again.page, 'Sign in again with The closed house');
    await again.page.waitForURL('**/logout');
    await again.person.stop();
  });

  test('brings a newcomer where the configuration has a place', async () => {
    const { person, page } = await visit();
    await open.person('bob');
    await page.goto(`${server.url}/login?to=/account`);
    await press(page, 'Sign in with The open house');
    await page.waitForURL('**/account');
    await page.getByText('bob@127.0.0.1').first().waitFor();
    await page.getByText('member').waitFor();
    await person.stop();
  });

  test('signs nobody in who says no there', async () => {
    const { person, page } = await visit();
    await open.person('bob refuses');
    await page.goto(`${server.url}/login`);
    await press(page, 'Sign in with The open house');
    await page.getByText('You were not signed in there').waitFor();
    await person.stop();
  });
});

describe('a passkey, in a browser with an authenticator', () => {
  let folder, child, url, person, page, authenticator, cdp;
  const PASSPHRASE = 'correct horse battery';

  before(async () => {
    // Browsers make no passkeys for an address; a production server has a name.
    const port = await freePort();
    url = `http://localhost:${port}`;
    folder = await mkdtemp(join(tmpdir(), 'carnet-passkey-'));
    const env = { PATH: process.env.PATH, HOME: folder };
    child = spawn(BINARY, ['serve', '--json', '--url', url, '--listen', `127.0.0.1:${port}`, '--data', join(folder, 'data')], { cwd: folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(child.stdout, 'data');
    const { setupUrl } = JSON.parse(line);
    person = await browser.person({ hosts: [new URL(url).host] });
    page = person.page;
    cdp = await page.context().newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
    authenticator = (await cdp.send('WebAuthn.addVirtualAuthenticator', { options })).authenticatorId;
    await page.goto(setupUrl);
    for (const [name, value] of Object.entries({ team: 'Acme', name: 'Ada', email: 'ada@acme.test', passphrase: PASSPHRASE })) await page.locator(`#${name}`).fill(value);
    await page.getByRole('button', { name: 'Create the team' }).click();
    await page.getByRole('heading', { name: 'Your access token' }).waitFor();
  });

  after(async () => {
    await person?.stop();
    if (child) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const press = (name) => page.getByRole('button', { name }).click();
  const leave = async () => {
    await page.goto(`${url}/logout`);
    await press('Sign out');
    await page.waitForURL('**/login');
  };

  test('is added, signs in alone, proves it again, and is removed', async () => {
    await page.goto(`${url}/account`);
    await page.locator('#name').fill('The laptop');
    await press('Add a passkey');
    await page.getByText('never used').waitFor();
    await person.inspect('the account with a passkey', KEYS);
    await leave();
    await person.inspect('the page to sign in, with passkeys');
    await press('Use a passkey');
    await page.waitForURL('**/account');
    await page.getByText('used less than a minute ago').waitFor();
    await page.goto(`${url}/login/again?to=/account`);
    await person.inspect('signing in again, with a passkey');
    await press('Use a passkey');
    await page.waitForURL('**/account');
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId: authenticator });
    assert.equal(credentials.length, 1);
    await press(/^Remove/);
    await page.waitForURL('**/account');
    assert.equal(await page.getByText('The laptop').count(), 0);
    await leave();
    await press('Use a passkey');
    await page.getByText('Nobody here has this passkey').waitFor();
  });

  test('is nothing without the person', async () => {
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId: authenticator, isUserVerified: false });
    await page.goto(`${url}/login`);
    await press('Use a passkey');
    await page.getByText('Your browser gave no passkey').waitFor();
    assert.match(page.url(), /\/login$/);
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId: authenticator, isUserVerified: true });
  });

  test('is answered once, and only what the page asked', async () => {
    await page.goto(`${url}/login`);
    await page.locator('#email').fill('ada@acme.test');
    await page.locator('#passphrase').fill(PASSPHRASE);
    await press(/^Sign in$/);
    await page.waitForURL('**/account');
    await page.locator('#name').fill('Another');
    await press('Add a passkey');
    await page.getByText('Another').first().waitFor();
    await leave();
    // What the browser posts is posted twice.
    let posted;
    await page.route('**/login/passkey', (route) => {
      posted = route.request().postData();
      return route.abort();
    });
    await press('Use a passkey');
    while (!posted) await page.waitForTimeout(50);
    await page.unroute('**/login/passkey');
    const send = (body) =>
      page.context().request.post(`${url}/login/passkey`, { headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' }, data: body, maxRedirects: 0 });
    const bent = new URLSearchParams(posted);
    bent.set('signature', `${bent.get('signature').slice(0, -4)}AAAA`);
    assert.equal((await send(bent.toString())).status(), 403, 'another signature');
    const other = new URLSearchParams(posted);
    other.set('challenge', `A${other.get('challenge').slice(1)}`);
    assert.equal((await send(other.toString())).status(), 403, 'another challenge');
    assert.equal((await send(posted)).status(), 303);
    assert.equal((await send(posted)).status(), 403, 'once');
    person.content([/ERR_FAILED/, /Failed to load resource/, ...KEYS]);
  });
});

describe('vercel login, unmodified but for where its requests go', () => {
  const VERCEL = fileURLToPath(new URL('../vercel-cli/node_modules/vercel/dist/vc.js', import.meta.url));
  let home;

  before(async () => {
    await stat(VERCEL).catch(() => assert.fail('run `npm install --no-save --omit=optional --ignore-scripts` in e2e/vercel-cli first; cargo xtask test does'));
    home = await mkdtemp(join(tmpdir(), 'carnet-vercel-login-'));
  });

  after(async () => {
    if (home) await rm(home, { recursive: true, force: true });
  });

  const vercel = (...words) => {
    const redirect = fileURLToPath(new URL('../redirect.mjs', import.meta.url));
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      XDG_DATA_HOME: join(home, 'data'),
      NODE_OPTIONS: `--import ${redirect}`,
      CARNET_URL: broker.url,
      VERCEL_TOKEN_STORAGE: 'file',
      VERCEL_TELEMETRY_DISABLED: '1',
      NO_UPDATE_NOTIFIER: '1',
      CI: '1',
      NO_COLOR: '1',
      TERM: 'dumb',
    };
    return watch(spawn(process.execPath, [VERCEL, ...words, '-Q', join(home, 'settings')], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] }));
  };

  test('case 75 login-device: signs in, acts as the person, and signs out', async () => {
    const login = vercel('login');
    const [code] = await login.said(/[B-Z]{4}-[B-Z]{4}/);
    await (await decide(code, LOOKS[2])).stop();
    const done = await login.ended;
    assert.equal(done.code, 0, done.out + done.err);
    const { token, refreshToken } = JSON.parse(await readFile(join(home, 'settings', 'auth.json'), 'utf8'));
    assert.match(token, /^crn_\w+$/);
    assert.match(refreshToken, /^crr_/);
    const who = await vercel('whoami').ended;
    assert.equal(who.code, 0, who.err);
    const listed = await vercel('connect', 'list', '--all-projects').ended;
    assert.match(listed.out + listed.err, /demo\/hello/);
    const out = await vercel('logout').ended;
    assert.equal(out.code, 0, out.err);
    (await broker.api('GET', '/v2/user', { as: token })).is(401, 'unauthorized');
  });
});
