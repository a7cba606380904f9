// The official TypeScript client has no setting for the address of its server. This preload sends what it would send
// to its vendor's hosts to the broker named in CARNET_URL:
//
//   CARNET_URL=http://127.0.0.1:7070 node --import ./redirect.mjs app.mjs
//   CARNET_URL=http://127.0.0.1:7070 NODE_OPTIONS="--import $PWD/redirect.mjs" vercel login
const HOSTS = /^((api(-[a-z0-9]+)?|connect|oidc)\.)?vercel\.com$/;
const broker = process.env.CARNET_URL;
if (!broker) throw new Error('redirect.mjs needs CARNET_URL');
const fetchAnywhere = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const request = input instanceof Request;
  const url = new URL(request ? input.url : input);
  if (!HOSTS.test(url.hostname)) return fetchAnywhere(input, init);
  const there = new URL(url.pathname + url.search, broker);
  const answer = await fetchAnywhere(request ? new Request(there, input) : there, init);
  if (url.pathname !== '/.well-known/openid-configuration' || !answer.ok) return answer;
  // Its command line takes a description of where to sign in from its vendor's issuer only.
  return Response.json({ ...(await answer.json()), issuer: url.origin });
};
