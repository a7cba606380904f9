// A remote MCP server made with the official SDK, which takes tokens of one authorization server and for itself alone.
//
//   node mcp-server.mjs --port N --issuer URL
//
// Its tool `whoami` says for whom the token is, and which client got it. GET /_seen says what came in.
import { createPublicKey, verify } from 'node:crypto';
import { parseArgs } from 'node:util';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';

const { values: options } = parseArgs({ options: { port: { type: 'string' }, issuer: { type: 'string' } } });
const resource = new URL(`http://127.0.0.1:${options.port}/mcp`);
const fetched = async (url) => (await fetch(url)).json();
const oauthMetadata = await fetched(`${options.issuer}/.well-known/openid-configuration`);
const { keys } = await fetched(oauthMetadata.jwks_uri);
const seen = [];

/** Who a token is of, if it is a token for this server. */
async function verifyAccessToken(token) {
  const [head, body, signature] = token.split('.');
  if (!signature) throw new InvalidTokenError('not a JWT');
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
  const claims = read(body);
  const key = keys.find((key) => key.kid === read(head).kid);
  const good =
    key && verify('sha256', Buffer.from(`${head}.${body}`), createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'));
  if (!good || claims.iss !== options.issuer) throw new InvalidTokenError('not a token of this issuer');
  if (![claims.aud].flat().includes(resource.href)) throw new InvalidTokenError('a token for another audience');
  return { token, clientId: claims.client_id, scopes: claims.scope.split(' '), expiresAt: claims.exp, extra: { sub: claims.sub } };
}

const app = express();
app.use((request, _, next) => {
  seen.push(`${request.method} ${request.url}`);
  next();
});
app.get('/_seen', (_, response) => response.json(seen));
app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: resource, scopesSupported: ['read', 'write'] }));
const guard = requireBearerAuth({
  verifier: { verifyAccessToken },
  requiredScopes: ['read'],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
});
app.all('/mcp', guard, express.json(), async (request, response) => {
  const server = new McpServer({ name: 'peer', version: '1' });
  server.registerTool('whoami', { description: 'Who calls' }, async () => {
    const { extra, scopes, clientId } = request.auth;
    return { content: [{ type: 'text', text: JSON.stringify({ sub: extra.sub, scopes, clientId }) }] };
  });
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on('close', () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.listen(Number(options.port), '127.0.0.1', () => process.stdout.write('ready\n'));
