// What providers send by themselves: signed by the providers' own code, and judged by theirs beside ours.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign as signed } from 'node:crypto';
import { after, before, test } from 'node:test';
import { LinearWebhookClient } from '@linear/sdk/webhooks';
import * as github from '@octokit/webhooks-methods';
import * as discord from 'discord-interactions';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { startBroker } from '../broker.mjs';

const hmac = (secret, text) => createHmac('sha256', secret).update(text).digest('hex');
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const stripe = new Stripe('sk_test_1');
const seconds = () => Math.floor(Date.now() / 1000);
const holds = async (work) => Promise.resolve().then(work).then((said) => said !== false, () => false);

/** Each: how it signs a body of now or then, and whether its own code believes headers and body. */
const PROVIDERS = {
  github: {
    secret: 'github-webhook-secret',
    body: () => ({ action: 'opened', installation: { id: 100 } }),
    async sign(body) {
      const signature = await github.sign(this.secret, body);
      return { 'x-github-event': 'issues', 'x-github-delivery': crypto.randomUUID(), 'x-hub-signature-256': signature };
    },
    believes(headers, body) {
      return github.verify(this.secret, body, headers['x-hub-signature-256']);
    },
  },
  linear: {
    secret: 'lin_wh_secret_of_a_webhook',
    timed: true,
    body: (off) => ({ type: 'Issue', action: 'create', organizationId: 'o-1', webhookTimestamp: Date.now() + off * 1000 }),
    sign(body) {
      return { 'linear-delivery': crypto.randomUUID(), 'linear-signature': hmac(this.secret, body) };
    },
    believes(headers, body) {
      const { webhookTimestamp } = JSON.parse(body);
      return new LinearWebhookClient(this.secret).verify(Buffer.from(body), headers['linear-signature'], webhookTimestamp);
    },
  },
  discord: {
    secret: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'),
    // Its own code looks at no time.
    body: () => ({ id: String(Date.now()), type: 2, guild_id: '9', token: 't' }),
    sign(body) {
      const time = String(seconds());
      const signature = signed(null, Buffer.from(time + body), privateKey).toString('hex');
      return { 'x-signature-timestamp': time, 'x-signature-ed25519': signature };
    },
    believes(headers, body) {
      return discord.verifyKey(body, headers['x-signature-ed25519'], headers['x-signature-timestamp'], this.secret);
    },
  },
  stripe: {
    secret: 'whsec_of_an_endpoint',
    timed: 'old alone',
    body: () => ({ id: `evt_${crypto.randomUUID()}`, object: 'event', type: 'charge.succeeded' }),
    sign(body, off = 0) {
      const timestamp = seconds() + off;
      return { 'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload: body, secret: this.secret, timestamp }) };
    },
    believes(headers, body) {
      return Boolean(stripe.webhooks.constructEvent(body, headers['stripe-signature'], this.secret));
    },
  },
  openai: {
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    timed: true,
    body: () => ({ type: 'batch.completed', data: {} }),
    sign(body, off = 0) {
      const at = new Date((seconds() + off) * 1000);
      const id = `msg_${crypto.randomUUID()}`;
      const signature = new Webhook(this.secret).sign(id, at, body);
      return { 'webhook-id': id, 'webhook-timestamp': String(at.getTime() / 1000), 'webhook-signature': signature };
    },
    believes(headers, body) {
      return Boolean(new Webhook(this.secret).verify(body, headers));
    },
  },
};

let broker;
const connectors = {};

before(async () => {
  broker = await startBroker();
  for (const [service, provider] of Object.entries(PROVIDERS)) {
    if (service !== 'discord') broker.secrets.add(provider.secret);
    // Of people, so that no key is tried at the service.
    const data = { subjectType: 'user', webhookSecret: provider.secret };
    const json = { type: 'api-key', service, name: service, data, triggers: { enabled: true } };
    connectors[service] = (await broker.connector(json)).id;
  }
});

after(() => broker?.stop());

/** Sends as a provider does; the status. */
async function send(service, headers, body) {
  const url = `${broker.url}/connect/trigger/${connectors[service]}`;
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  await answer.arrayBuffer();
  return answer.status;
}

for (const [service, provider] of Object.entries(PROVIDERS)) {
  test(`${service}: what its own code signs is taken, and what its own code refuses is not`, async () => {
    const body = JSON.stringify(provider.body(0));
    const headers = await provider.sign(body);
    assert.ok(await holds(() => provider.believes(headers, body)));
    assert.equal(await send(service, headers, body), 200);

    const changed = body.replace(/"type":|"action":/, (found) => ` ${found}`);
    assert.notEqual(changed, body);
    assert.equal(await holds(() => provider.believes(headers, changed)), false);
    assert.equal(await send(service, headers, changed), 401);

    if (provider.timed) {
      for (const off of [-3600, 3600]) {
        const body = JSON.stringify(provider.body(off));
        const headers = await provider.sign(body, off);
        // Stripe's own code takes what is signed for later.
        if (off < 0 || provider.timed === true) assert.equal(await holds(() => provider.believes(headers, body)), false);
        assert.equal(await send(service, headers, body), 401);
      }
    }
  });
}

test('what one service signs is believed at no other', async () => {
  for (const [from, provider] of Object.entries(PROVIDERS)) {
    const body = JSON.stringify(provider.body(0));
    const headers = await provider.sign(body);
    for (const to of Object.keys(PROVIDERS).filter((service) => service !== from)) assert.equal(await send(to, headers, body), 401);
  }
});

test('two signatures of Stripe and of Standard Webhooks are as good as one', async () => {
  const { stripe: first, openai: second } = PROVIDERS;
  const event = JSON.stringify(first.body());
  const { 'stripe-signature': of } = first.sign(event);
  assert.equal(await send('stripe', { 'stripe-signature': `${of},v1=${hmac('other', event)}` }, event), 200);
  const done = JSON.stringify(second.body());
  const headers = second.sign(done);
  headers['webhook-signature'] = `v1,${Buffer.alloc(32).toString('base64')} ${headers['webhook-signature']}`;
  assert.equal(await send('openai', headers, done), 200);
});
