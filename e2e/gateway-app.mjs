// Two apps that let people sign in with a connector, as their owners would write them: one with Better Auth, one with
// Auth.js, each through the official adapter. Run with the redirect as a preload and the workload identity in the
// environment; --port, --connector.
import http from 'node:http';
import { parseArgs } from 'node:util';
import { Auth } from '@auth/core';
import { connect as authjs } from '@vercel/connect/authjs';
import { connect as betterauth } from '@vercel/connect/betterauth';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { genericOAuth } from 'better-auth/plugins/generic-oauth';

const { values: options } = parseArgs({ options: { port: { type: 'string' }, connector: { type: 'string' } } });
const url = `http://localhost:${options.port}`;
const secret = 'a-secret-of-the-app-that-is-long-enough-for-it';
const { connector } = options;

const better = betterAuth({
  baseURL: url,
  basePath: '/better',
  secret,
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  telemetry: { enabled: false },
  plugins: [genericOAuth({ config: [betterauth({ providerId: 'people', connector })] })],
});

const authjsConfig = {
  basePath: '/authjs',
  secret,
  trustHost: true,
  providers: [authjs({ id: 'people', name: 'Google', connector })],
  // What the app keeps of whoever signed in, for the test to see.
  callbacks: {
    jwt: ({ token, account, profile }) => (account ? { ...token, sub: profile.sub, access: account.access_token, refresh: account.refresh_token } : token),
    session: ({ session, token }) => ({ ...session, sub: token.sub, access: token.access, refresh: token.refresh }),
  },
};

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length ? Buffer.concat(chunks) : undefined;
  const asked = new Request(url + request.url, { method: request.method, headers: request.headers, body });
  const answer = await (request.url.startsWith('/better') ? better.handler(asked) : Auth(asked, authjsConfig)).catch((error) => {
    console.error(error);
    return new Response(String(error), { status: 500 });
  });
  const headers = Object.fromEntries(answer.headers);
  const cookies = answer.headers.getSetCookie();
  if (cookies.length) headers['set-cookie'] = cookies;
  response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()));
});
server.listen(Number(options.port), '127.0.0.1', () => console.log('ready'));
