// A provider's API, emulated by somebody else's code whose answers the vendor's own SDK accepts; and before it, the pages
// that the emulator lacks.
//
//   node emulator.mjs --port N --service github|slack|linear|google|microsoft|okta
//
// Google, Microsoft and Okta call themselves by their real names in their ID tokens. Microsoft and Okta have the paths of
// the real ones; Google has its own, and the flags that lead there are in `instead`.
// Before Microsoft stands the proof by a federated credential, verified by `jose` against what the issuer publishes.
//
// GET /_key is the key of the GitHub App. PUT /_redirect {uri} registers a redirect URI. PUT /_installer {login,
// installation} says who installs the app next, and where. GET /_asked says what Microsoft was last asked for.
import { createHash, X509Certificate } from 'node:crypto';
import { createServer, request as send } from 'node:http';
import { parseArgs } from 'node:util';
import { createEmulator } from 'emulate';
import { createRemoteJWKSet, decodeProtectedHeader, importX509, jwtVerify } from 'jose';
import { freePort } from '../broker.mjs';

const { values: options } = parseArgs({ options: { port: { type: 'string' }, service: { type: 'string' } } });
const base = `http://127.0.0.1:${options.port}`;
const inner = new URL(`http://127.0.0.1:${await freePort()}`);
const redirects = [];
const TENANT = '11111111-2222-3333-4444-555555555555';

const SEEDS = {
  github: {
    users: [{ login: 'octocat', email: 'octocat@example.test' }, { login: 'hubot' }],
    orgs: [{ login: 'acme', members: [{ login: 'octocat', role: 'admin' }] }],
    repos: [
      { owner: 'acme', name: 'api', auto_init: true },
      { owner: 'acme', name: 'web', auto_init: true },
      { owner: 'octocat', name: 'dot', auto_init: true },
    ],
    oauth_apps: [{ client_id: 'Iv1.broker', client_secret: 'github-client-secret', name: 'Broker', redirect_uris: redirects }],
    apps: [
      {
        app_id: 4242,
        slug: 'broker',
        name: 'Broker',
        permissions: { contents: 'read', issues: 'write', metadata: 'read' },
        events: [],
        installations: [
          { installation_id: 100, account: 'acme', repository_selection: 'all' },
          { installation_id: 101, account: 'octocat', repository_selection: 'selected', repositories: ['octocat/dot'] },
        ],
      },
    ],
  },
  slack: {
    team: { name: 'Acme', domain: 'acme' },
    users: [{ name: 'dev', real_name: 'Dev', email: 'dev@example.test' }],
    channels: [{ name: 'general' }],
    strict_scopes: true,
    oauth_apps: [
      {
        client_id: '12345.67890',
        client_secret: 'slack-client-secret',
        app_id: 'A0BROKER1',
        name: 'Broker',
        redirect_uris: redirects,
        scopes: ['chat:write', 'channels:read'],
        user_scopes: ['users:read'],
        bot_name: 'broker',
      },
    ],
  },
  linear: {
    organization: { name: 'Acme', url_key: 'acme' },
    users: [{ email: 'admin@example.test', name: 'Admin', admin: true }],
    teams: [{ key: 'ENG', name: 'Engineering' }],
    strict_scopes: true,
    oauth_apps: ['user', 'app'].map((actor) => ({
      client_id: `linear-${actor}`,
      client_secret: 'linear-client-secret',
      name: 'Broker',
      redirect_uris: redirects,
      scopes: ['read', 'write', ...(actor === 'app' ? ['app:assignable', 'app:mentionable'] : [])],
      actor,
    })),
  },
  google: {
    // A token that the emulator does not know is taken for one of the first.
    users: [
      { email: 'eve@other.example', name: 'Eve', hd: 'other.example' },
      { email: 'ada@acme.example', name: 'Ada', hd: 'acme.example' },
    ],
    oauth_clients: [{ client_id: '1-broker.apps.googleusercontent.com', client_secret: 'google-client-secret', name: 'Broker', redirect_uris: redirects }],
  },
  microsoft: {
    users: [{ email: 'ada@acme.example', name: 'Ada', tenant_id: TENANT }],
    oauth_clients: [
      { client_id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', client_secret: 'microsoft-client-secret', name: 'Broker', tenant_id: TENANT, redirect_uris: redirects },
    ],
  },
  okta: {
    users: [{ okta_id: '00uada', login: 'ada@acme.example', email: 'ada@acme.example', first_name: 'Ada', last_name: 'L' }],
    oauth_clients: [
      { client_id: 'okta-custom', client_secret: 'okta-client-secret', name: 'Broker', redirect_uris: redirects, auth_server_id: 'default' },
      { client_id: 'okta-org', client_secret: 'okta-client-secret', name: 'Broker', redirect_uris: redirects, auth_server_id: 'org' },
    ],
  },
};

/** By what name a provider goes, where that is said in its tokens. */
const NAMES = { google: 'https://accounts.google.com', microsoft: 'https://login.microsoftonline.com', okta: 'https://acme.okta.com' };
/** What the real one has elsewhere. */
const MOVED = {
  microsoft: (path) => path.replace(new RegExp(`^/${TENANT}(?=/oauth2/v2.0/)`), ''),
};

const emulator = await createEmulator({
  service: options.service,
  port: Number(inner.port),
  baseUrl: NAMES[options.service] ?? base,
  seed: { [options.service]: SEEDS[options.service] },
});
/** How installations at GitHub stand that are not as they were: `suspended` or `gone`, by number. */
const standing = new Map();
/** Who has entered the code at GitHub, if anybody has. */
let decided;
let installer = { login: 'octocat', installation: 100 };
/** Whom the application at Microsoft trusts: `issuer` and `subject`. */
let trusted = {};
/** The certificates that the application at Microsoft has: in PEM, by thumbprint. */
const certificates = new Map();
/** What was last asked of Microsoft's token endpoint, without what proves the client. */
let asked = {};

const json = (answer, status, body) => {
  answer.writeHead(status, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(body));
};
const read = async (question) => JSON.parse((await question.toArray()).join('') || '{}');
const ask = (path, init) => fetch(new URL(path, inner), { redirect: 'manual', ...init });

const PAGES = {
  'GET /_key': (_, answer) => answer.end(emulator.generatedSecrets.find(({ kind }) => kind === 'github.app_private_key').value),
  'PUT /_redirect': async (question, answer) => {
    redirects.push((await read(question)).uri);
    json(answer, 200, redirects);
  },
  'GET /_asked': (_, answer) => json(answer, 200, asked),
  'PUT /_trusted': async (question, answer) => json(answer, 200, (trusted = await read(question))),
  'PUT /_certificate': async (question, answer) => {
    const { cert } = await read(question);
    certificates.set(createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url'), cert);
    json(answer, 200, certificates.size);
  },
  'PUT /_installer': async (question, answer) => json(answer, 200, (installer = await read(question))),
  // Where an owner chooses an account: as if that had been done, and the person asked for in the same step.
  'GET /apps/broker/installations/new': async (question, answer) => {
    const state = new URL(question.url, base).searchParams.get('state');
    const form = { login: installer.login, redirect_uri: redirects.at(-1), scope: '', state, client_id: 'Iv1.broker' };
    const back = await ask('/login/oauth/callback', { method: 'POST', body: new URLSearchParams(form) });
    const location = new URL(back.headers.get('location'));
    location.searchParams.set('installation_id', installer.installation);
    location.searchParams.set('setup_action', 'install');
    answer.writeHead(302, { location: location.href }).end();
  },
  'PUT /_standing': async (question, answer) => {
    const { installation, is } = await read(question);
    json(answer, 200, standing.set(String(installation), is).size);
  },
  'PUT /_decided': async (question, answer) => json(answer, 200, (decided = (await read(question)).login)),
  'POST /login/device/code': (_, answer) =>
    json(answer, 200, { device_code: 'a-device', user_code: 'WDJB-MJHT', verification_uri: 'https://github.com/login/device', expires_in: 900, interval: 1 }),
  // Of the two installations the first person has to do with both, the second with none.
  'GET /user/installations': async (question, answer) => {
    const who = await ask('/user', { headers: { authorization: question.headers.authorization } });
    if (!who.ok) return json(answer, who.status, await who.json());
    const all = (await who.json()).login === 'octocat' ? [[100, 'acme'], [101, 'octocat']] : [];
    const installations = all.map(([id, login]) => ({ id, app_id: 4242, account: { id: id * 10, login } }));
    return json(answer, 200, { total_count: installations.length, installations });
  },
};

/** Why an assertion of the application at Microsoft is not taken; nothing if it is. */
async function unproven(client, assertion) {
  const thumbprint = decodeProtectedHeader(assertion)['x5t#S256'];
  if (thumbprint) {
    const cert = certificates.get(thumbprint);
    if (!cert) return 'AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application.';
    const audience = `${NAMES.microsoft}/${TENANT}/oauth2/v2.0/token`;
    // Microsoft's library rounds the time up.
    const wanted = { issuer: client, subject: client, audience, algorithms: ['PS256'], clockTolerance: 5, requiredClaims: ['jti', 'nbf', 'exp'] };
    return jwtVerify(assertion, await importX509(cert, 'PS256'), wanted).then(() => undefined, ({ message }) => `AADSTS700027: ${message}`);
  }
  const { issuer, subject } = trusted;
  if (!issuer) return 'AADSTS700211: No matching federated identity record found for presented assertion issuer.';
  try {
    const found = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    const keys = createRemoteJWKSet(new URL(found.jwks_uri));
    await jwtVerify(assertion, keys, { issuer, subject, audience: 'api://AzureADTokenExchange', algorithms: ['RS256'] });
  } catch (error) {
    return `AADSTS700213: ${error.message}`;
  }
}

if (options.service === 'github') {
  const redeem = async (form) => (await ask('/login/oauth/access_token', { method: 'POST', headers: { accept: 'application/json' }, body: form })).json();
  PAGES['POST /login/oauth/access_token'] = async (question, answer) => {
    const form = new URLSearchParams((await question.toArray()).join(''));
    if (!form.has('device_code')) return json(answer, 200, await redeem(form));
    if (!decided) return json(answer, 200, { error: 'authorization_pending' });
    const client = { client_id: form.get('client_id'), redirect_uri: redirects.at(-1) };
    const back = await ask('/login/oauth/callback', { method: 'POST', body: new URLSearchParams({ ...client, login: decided, scope: '', state: 's' }) });
    const code = new URL(back.headers.get('location')).searchParams.get('code');
    return json(answer, 200, await redeem(new URLSearchParams({ ...client, code, client_secret: SEEDS.github.oauth_apps[0].client_secret })));
  };
  for (const { installation_id: id } of SEEDS.github.apps[0].installations) {
    const otherwise = (status, body) => (question, answer) => {
      const is = standing.get(String(id));
      if (is === 'gone') return json(answer, 404, { message: 'Not Found' });
      return is === 'suspended' ? json(answer, status, body) : forward(question, answer);
    };
    PAGES[`POST /app/installations/${id}/access_tokens`] = otherwise(403, { message: 'This installation has been suspended' });
    PAGES[`GET /app/installations/${id}`] = otherwise(200, { id, app_id: 4242, suspended_at: new Date().toISOString() });
  }
}

if (options.service === 'microsoft') {
  PAGES[`POST /${TENANT}/oauth2/v2.0/token`] = async (question, answer) => {
    const form = new URLSearchParams((await question.toArray()).join(''));
    asked = { grant: form.get('grant_type'), scope: form.get('scope') };
    if (form.has('client_assertion')) {
      const words = await unproven(form.get('client_id'), form.get('client_assertion'));
      if (words) return json(answer, 401, { error: 'invalid_client', error_description: words });
      form.set('client_secret', SEEDS.microsoft.oauth_clients[0].client_secret);
    }
    const got = await ask('/oauth2/v2.0/token', { method: 'POST', body: form });
    json(answer, got.status, await got.json());
  };
  PAGES[`GET /${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}/v2.0/.well-known/openid-configuration`] = (_, answer) =>
    json(answer, 400, { error: 'invalid_tenant', error_description: 'AADSTS90002: Tenant not found.' });
}

function forward(question, answer) {
  const { method, headers } = question;
  const path = MOVED[options.service]?.(question.url) ?? question.url;
  const onward = send(new URL(path, inner), { method, headers }, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  return question.pipe(onward);
}

const front = createServer((question, answer) => {
  const page = PAGES[`${question.method} ${question.url.split('?')[0]}`] ?? forward;
  return page(question, answer);
});
front.listen(Number(options.port), '127.0.0.1', () => console.log('ready'));
process.on('SIGTERM', async () => {
  front.close();
  front.closeAllConnections();
  await emulator.close();
  process.exit(0);
});
