// A certified authorization server (npm `oidc-provider`) as a peer: strict refresh rotation with reuse detection, PKCE
// required, client credentials, revocation, clients that prove themselves by a key. It signs people in and answers for
// them, and it can be made to misbehave. Two grants are added to it: assertions, which `jose` verifies, and exchanges.
//
//   node authorization-server.mjs --port N --redirect URI [--redirect URI]...      ACCESS_TTL, REFRESH_TTL in seconds
//
// With --full it also registers clients and lets them look after that, reads clients that are the address of a document, takes pushed requests (and with --pushed no
// others), gives codes for other devices, answers about tokens, and knows resources and authorization details.
//
// Who comes and what they say is in `login_hint`, or in what was last put to /_person: `alice`, `alice refuses`,
// `alice grants read write` (nothing but the named scopes).
//
//   PUT    /_person  {"hint":"…"}               who comes when nobody says so
//   PUT    /_ttl     {"access":3}               life of the access tokens made from now on
//   PUT    /_fault   {"path","mode",…,"times"}  misbehave on a path: see FAULTS
//   PUT    /_client  {"id":"…","jwksUri":"…"}   a client that has a key instead of a secret
//   PUT    /_host    {"origin","at"}            where it finds what is said to be at an origin, which must be https
//   GET    /_events  what came in; DELETE       forget it, and the faults
//   DELETE /_grants  withdraw every grant, as a person does in the settings of a service
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    redirect: { type: 'string', multiple: true, default: [] },
    full: { type: 'boolean', default: false },
    pushed: { type: 'boolean', default: false },
  },
});
const issuer = `http://127.0.0.1:${options.port}`;
let accessTtl = Number(process.env.ACCESS_TTL ?? 60);
let person = 'alice';
let events = [];
let faults = [];
const grants = new Set();
const hosts = new Map();

/** Where an address is looked for. */
function found(url) {
  const at = hosts.get(url.origin);
  if (at) events.push({ path: url.pathname, read: url.href });
  return at ? new URL(url.pathname, at) : url;
}

const client = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: `${client_id}-secret-of-the-peer`,
  token_endpoint_auth_method,
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  response_types: ['code'],
  redirect_uris: options.redirect,
});

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
// A resource is on this machine, as the peers of the suites are; its tokens say for whom they are.
const resourceServer = (_, resource) => {
  if (!resource.startsWith('http://127.0.0.1:')) throw new errors.InvalidTarget();
  return { scope: 'read write', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: accessTtl, jwt: { sign: { alg: 'RS256' } } };
};
const detailsOf = (context) => JSON.parse(context.oidc.params.authorization_details ?? '[]');
const full = {
  registration: { enabled: true },
  clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
  registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
  pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: options.pushed },
  deviceFlow: { enabled: true },
  introspection: { enabled: true },
  resourceIndicators: {
    enabled: true,
    defaultResource: (_, __, oneOf) => oneOf?.[0],
    useGrantedResource: () => true,
    getResourceServerInfo: resourceServer,
  },
  richAuthorizationRequests: {
    enabled: true,
    types: { repo_access: { validate() {} } },
    authorizationDetailsForGrantSource: detailsOf,
    authorizationDetailsForAccessToken: (context, _, source) => (context.oidc.params.authorization_details ? detailsOf(context) : source?.rar),
    authorizationDetailsForIntrospection: (_, token) => token.rar,
  },
};

const provider = new Provider(issuer, {
  clients: [client('basic', 'client_secret_basic'), client('post', 'client_secret_post')],
  jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'peer', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  ttl: {
    AccessToken: () => accessTtl,
    ClientCredentials: () => accessTtl,
    RefreshToken: () => Number(process.env.REFRESH_TTL ?? 3600),
    AuthorizationCode: 60,
    Grant: 86_400,
    IdToken: 600,
    Interaction: 600,
    Session: 86_400,
  },
  // Its own dispatcher connects to no private address, and here everything is on this machine.
  fetch: (url, { dispatcher, ...more }) => fetch(found(new URL(url)), more),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    ...(options.full && full),
  },
});

// RFC 7523 §2.1: the client asserts who the person is, with the key that proves the client. Each assertion is used once.
const used = new Set();
provider.registerGrantType(JWT_BEARER, async (context) => {
  const { client, params } = context.oidc;
  try {
    const { payload } = await jwtVerify(params.assertion, createRemoteJWKSet(new URL(client.jwksUri)), {
      issuer: client.clientId,
      audience: `${issuer}/token`,
      algorithms: ['RS256', 'ES256'],
      requiredClaims: ['sub', 'exp', 'iat', 'jti'],
      maxTokenAge: '5m',
    });
    if (used.has(payload.jti)) throw new Error('this assertion was used before');
    used.add(payload.jti);
    context.body = await give(context, payload.sub, params.scope);
  } catch (error) {
    throw new errors.InvalidGrant(`the assertion is not accepted: ${error.message}`);
  }
}, ['assertion', 'scope']);

// RFC 8693: a token of this server for another of the same person, with no more scopes.
provider.registerGrantType(EXCHANGE, async (context) => {
  const { subject_token: inbound, scope = '' } = context.oidc.params;
  const found = await provider.AccessToken.find(inbound ?? '');
  if (!found) throw new errors.InvalidRequest('the subject token is not known');
  const beyond = scope.split(' ').filter((name) => name && !found.scopes.has(name));
  if (beyond.length) throw new errors.InvalidScope('more than the subject token allows', beyond.join(' '));
  const given = await give(context, found.accountId, scope || [...found.scopes].join(' '));
  context.body = { ...given, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
}, ['subject_token', 'subject_token_type', 'requested_token_type', 'actor_token', 'actor_token_type', 'scope']);

/** An access token for this person, with these scopes. */
async function give(context, accountId, scope = '') {
  const { client } = context.oidc;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const token = new provider.AccessToken({ client, accountId, grantId: await grant.save(), gty: 'assertion' });
  token.scope = grant.getOIDCScopeFiltered(scope.split(' '));
  context.oidc.entity('AccessToken', token);
  const access_token = await token.save();
  return { access_token, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope };
}

// What reached the protocol, after it was answered. Tokens appear as short digests only.
provider.use(async (context, next) => {
  await next();
  const { params, entities } = context.oidc ?? {};
  const grant = entities?.RefreshToken?.grantId ?? entities?.AuthorizationCode?.grantId;
  if (grant) grants.add(grant);
  events.push({
    path: context.path,
    status: context.status,
    error: context.body?.error,
    grantType: params?.grant_type,
    scope: params?.scope,
    client: entities?.Client?.clientId,
    account: entities?.AccessToken?.accountId,
    prompt: params?.prompt,
    clientName: context.method === 'GET' ? undefined : context.body?.client_name,
    method: context.method,
    presented: digest(params?.refresh_token ?? params?.token),
  });
});

const digest = (token) => token && createHash('sha256').update(token).digest('base64url').slice(0, 10);

/** Signs the person in, then consents as the hint says. */
async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  const [, who, refuses, only] = (details.params.login_hint ?? person).match(/^(\S+)(?: (refuses)| grants (.*))?$/);
  const finish = (result, merge) =>
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission: merge });
  if (refuses) return finish({ error: 'access_denied', error_description: `${who} said no` }, false);
  if (details.prompt.name === 'login') return finish({ login: { accountId: who } }, false);
  const grant = new provider.Grant({ accountId: details.session.accountId, clientId: details.params.client_id });
  const asked = details.params.scope.split(' ');
  const given = only === undefined ? asked : asked.filter((scope) => only.split(' ').includes(scope));
  grant.addOIDCScope(given.join(' '));
  for (const resource of Object.keys(details.prompt.details.missingResourceScopes ?? {})) grant.addResourceScope(resource, given.join(' '));
  for (const detail of details.prompt.details.rar ?? []) grant.addRar?.(detail);
  const refused = asked.filter((scope) => !given.includes(scope));
  if (refused.length) grant.rejectOIDCScope(refused.join(' '));
  return finish({ consent: { grantId: await grant.save() } }, true);
}

// Each gets the request, the response and the fault, and says whether it answered in place of the server.
const FAULTS = {
  // {"status":429,"retryAfter":2,"body":{…}}
  status(_, response, { status, retryAfter, body = { error: 'temporarily_unavailable' } }) {
    response.writeHead(status, { 'content-type': 'application/json', ...(retryAfter && { 'retry-after': retryAfter }) });
    response.end(JSON.stringify(body));
    return true;
  },
  html(_, response, { status = 502 }) {
    response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    return true;
  },
  'broken-json'(_, response) {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"cut');
    return true;
  },
  // The server does its work, and the answer never arrives.
  'lost-answer'(request, response) {
    response.write = response.writeHead = () => response;
    response.end = () => request.socket.destroy();
    return false;
  },
  // The connection ends before the server sees anything.
  refuse(request) {
    request.socket.destroy();
    return true;
  },
};

const CONTROL = {
  'PUT /_person': ({ hint }) => void (person = hint),
  'PUT /_ttl': ({ access }) => void (accessTtl = access),
  'PUT /_fault': (fault) => void faults.push({ times: 1, ...fault }),
  'PUT /_client': ({ id, jwksUri }) =>
    provider.Client.adapter.upsert(id, {
      client_id: id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: jwksUri,
      grant_types: ['client_credentials', JWT_BEARER, EXCHANGE],
      response_types: [],
      redirect_uris: [],
    }),
  'PUT /_host': ({ origin, at }) => void hosts.set(origin, at),
  'GET /_events': () => events,
  'DELETE /_events': () => {
    events = [];
    faults = [];
  },
  'DELETE /_grants': async () => {
    for (const grant of grants) {
      for (const model of [provider.RefreshToken, provider.AccessToken]) await model.revokeByGrantId(grant);
      await (await provider.Grant.find(grant))?.destroy();
    }
    grants.clear();
  },
};

async function read(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

const protocol = provider.callback();
const server = http.createServer(async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const control = CONTROL[`${request.method} ${pathname}`];
  if (control) {
    const answer = await control(await read(request));
    return response.setHeader('content-type', 'application/json').end(JSON.stringify(answer ?? {}));
  }
  const fault = faults.find((fault) => fault.path === pathname && fault.times > 0);
  if (fault) {
    fault.times -= 1;
    events.push({ path: pathname, fault: fault.mode });
    if (FAULTS[fault.mode](request, response, fault)) return undefined;
  }
  if (pathname.startsWith('/interaction/')) return interact(request, response);
  return protocol(request, response);
});
server.listen(Number(options.port), '127.0.0.1', () => process.stdout.write('ready\n'));
