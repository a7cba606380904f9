// Consent in a real browser, from the link to the app: saying yes, saying no, going back, reloading, coming with
// another browser, coming too late. Every page on the way is looked at in light and dark, wide and narrow.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { LOOKS, startBrowser } from '../browser.mjs';
import { Visitor } from '../visitor.mjs';

const HELLO = 'demo/hello';
// Chromium reports a refusal that a person navigated to as an error of the page.
const REFUSALS = [/Failed to load resource: the server responded with a status of 4\d\d/];

let broker, browser, app, returnUrl, hosts, keys;
let people = 0;
const somebody = () => ({ type: 'user', id: `browser-${++people}` });

before(async () => {
  broker = await startBroker();
  browser = await startBrowser();
  // The app to which the person goes back.
  app = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html').end('<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><main><h1>Back in the app</h1></main></html>');
  }).listen(0, '127.0.0.1');
  await once(app, 'listening');
  returnUrl = `http://127.0.0.1:${app.address().port}/done`;
  hosts = [new URL(broker.url).host, new URL(returnUrl).host];
  keys = await broker.connector({
    type: 'api-key',
    service: 'keys.example.test',
    name: 'pasted',
    data: { subjectType: 'user', instructions: 'Open **Settings**, then [API keys](https://keys.example.test/settings).' },
  });
});

after(async () => {
  app?.close();
  await browser?.stop();
  await broker?.stop();
});

const ask = async (subject, more = {}, connector = HELLO) =>
  (await broker.authorize(connector, subject, { returnUrl, ...more })).is(200).body;
const needsConsent = async (subject, connector = HELLO) =>
  (await broker.token(connector, subject)).is(422, 'user_authorization_required');
const count = async (connector = HELLO) => (await broker.grants(connector)).is(200).body.grants.length;
const allow = (page) => page.locator('button[name=decision][value=allow]').click();
const deny = (page) => page.getByRole('button', { name: /^(Cancel|Deny)$/ }).click();
/** In the app, without a complaint on the way. */
async function back(person) {
  await person.page.waitForURL(`${returnUrl}**`, { timeout: 5000 }).catch(() => {});
  person.content();
  assert.ok(person.page.url().startsWith(returnUrl), `stopped at ${person.page.url()}`);
}

/** From our page to the provider's, which must be there before anything is pressed. */
async function toProvider(page, url) {
  await page.goto(url);
  await allow(page);
  await page.waitForURL(/\/demo\/authorize/);
}

/** Signs in and says yes at the provider. */
async function allowAtProvider(page) {
  await page.locator('input[name=person]').first().check();
  await allow(page);
}

describe('a device code', () => {
  const enter = async (page, code) => {
    await page.locator('#code').fill(code);
    await page.getByRole('button', { name: 'Continue' }).click();
  };
  for (const look of LOOKS) {
    test(`from the code to the end and back again, ${look.colorScheme}, ${look.width} px`, async () => {
      const alice = somebody();
      const { url, deviceCode } = (await broker.authorize(HELLO, alice, { deviceCode: true })).is(200).body;
      const person = await browser.person({ hosts, ...look });
      const { page } = person;
      await page.goto(url);
      await person.inspect('the page for codes');
      await enter(page, 'BCDF-GHJK');
      await page.locator('#code-error').waitFor();
      await person.inspect('a code that is not known', REFUSALS);
      await enter(page, deviceCode.toLowerCase().replace('-', ''));
      await page.waitForURL(/\/authorize\//);
      assert.match(await page.locator('main').innerText(), /You entered a code/);
      await person.inspect('the consent page behind a code');
      await allow(page);
      await page.waitForURL(/\/demo\/authorize/);
      await allowAtProvider(page);
      await page.getByRole('heading', { name: /is connected to/ }).waitFor();
      await person.inspect('the end, with a way back');
      (await broker.token(HELLO, alice)).is(200);
      await page.getByRole('button', { name: 'Take it back' }).click();
      await page.getByRole('heading', { name: 'Taken back' }).waitFor();
      await person.inspect('taken back');
      await needsConsent(alice);
      await person.stop();
    });
  }
});

describe('consent for the demo connector', () => {
  for (const look of LOOKS) {
    test(`from the link to the app, ${look.colorScheme}, ${look.width} px`, async () => {
      const alice = somebody();
      const { url } = await ask(alice);
      const person = await browser.person({ hosts, ...look });
      await person.page.goto(url);
      await person.inspect('the consent page');
      assert.match(await person.page.locator('h1').innerText(), new RegExp(`${broker.dev.projectName} wants to act as you`));
      await allow(person.page);
      await person.page.waitForURL(/\/demo\/authorize/);
      await person.inspect('the page of the demo provider');
      await allowAtProvider(person.page);
      await person.page.waitForURL(`${returnUrl}**`);
      person.content();
      (await broker.token(HELLO, alice)).is(200);
      await person.stop();
    });
  }

  test('without scripts it works the same', async () => {
    const alice = somebody();
    const person = await browser.person({ hosts, javaScriptEnabled: false });
    await toProvider(person.page, (await ask(alice)).url);
    await allowAtProvider(person.page);
    await person.page.waitForURL(`${returnUrl}**`);
    (await broker.token(HELLO, alice)).is(200);
    await person.stop();
  });

  test('with the keyboard alone: the first stop in the form is Cancel, and Tab and Enter reach the app', async () => {
    const alice = somebody();
    const person = await browser.person({ hosts });
    await person.page.goto((await ask(alice)).url);
    const focused = () => person.page.evaluate(() => document.activeElement?.getAttribute('value'));
    const tabTo = async (value) => {
      for (let presses = 0; presses < 30; presses++) {
        await person.page.keyboard.press('Tab');
        const now = await focused();
        if (now === value) return;
        assert.notEqual(now, 'allow', 'the button that allows comes before the one that cancels');
      }
      assert.fail(`Tab never reaches ${value}`);
    };
    await tabTo('deny');
    await person.page.keyboard.press('Tab');
    assert.equal(await focused(), 'allow');
    await person.page.keyboard.press('Enter');
    await person.page.waitForURL(/\/demo\/authorize/);
    await person.page.locator('input[name=person]').first().focus();
    await person.page.keyboard.press('Space');
    await tabTo('deny');
    await person.page.keyboard.press('Tab');
    await person.page.keyboard.press('Enter');
    await person.page.waitForURL(`${returnUrl}**`);
    person.content();
    await person.stop();
  });

  test('saying no on our page leaves nothing behind', async () => {
    const alice = somebody();
    const grants = await count();
    for (const connector of [HELLO, keys.uid]) {
      const { url, verifier } = await ask(alice, {}, connector);
      const person = await browser.person({ hosts });
      await person.page.goto(url);
      await deny(person.page);
      await back(person);
      const { status } = (await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200).body;
      assert.equal(status, 'canceled');
      await person.stop();
    }
    await needsConsent(alice);
    assert.equal(await count(), grants);
  });

  test('saying no at the provider leaves nothing behind', async () => {
    const alice = somebody();
    const { url, verifier } = await ask(alice);
    const person = await browser.person({ hosts });
    await toProvider(person.page, url);
    await person.page.locator('input[name=person]').first().check();
    await deny(person.page);
    await back(person);
    await needsConsent(alice);
    assert.equal((await broker.api('GET', `/v1/connect/result/${verifier}`)).is(200).body.status, 'canceled');
    await person.stop();
  });

  test('reloading the callback and going back make no second grant', async () => {
    const alice = somebody();
    const grants = await count();
    const { url } = await ask(alice);
    const person = await browser.person({ hosts });
    const callbacks = [];
    person.page.on('request', (request) => {
      if (new URL(request.url()).pathname.startsWith('/callback')) callbacks.push(request.url());
    });
    await toProvider(person.page, url);
    await allowAtProvider(person.page);
    await person.page.waitForURL(`${returnUrl}**`);
    assert.equal(await count(), grants + 1);
    const { token } = (await broker.token(HELLO, alice)).is(200).body;
    person.content();

    await person.page.goto(callbacks[0]);
    await person.page.waitForURL(`${returnUrl}**`);
    await person.page.goto(url);
    await person.inspect('the page of an answered request', REFUSALS);
    assert.equal(await person.page.locator('button[name=decision]').count(), 0);
    for (let steps = 0; steps < 6; steps++) await person.page.goBack().catch(() => {});
    assert.equal(await count(), grants + 1);
    assert.equal((await broker.token(HELLO, alice)).is(200).body.token, token, 'the first grant still works');
    await person.stop();
  });

  test('a form that was left open is refused after the request was answered elsewhere in the same browser', async () => {
    const alice = somebody();
    const grants = await count();
    const { url } = await ask(alice);
    const person = await browser.person({ hosts });
    const late = await person.page.context().newPage();
    await late.goto(url);
    await toProvider(person.page, url);
    await allowAtProvider(person.page);
    await person.page.waitForURL(`${returnUrl}**`);
    const [answer] = await Promise.all([late.waitForNavigation(), allow(late)]);
    assert.ok(answer.status() >= 400, `${answer.status()} ${late.url()}`);
    assert.equal(await count(), grants + 1);
    await person.stop();
  });

  test('a callback opened in another browser is refused, and the right one may still finish', async () => {
    for (const look of LOOKS) {
      const alice = somebody();
      const right = new Visitor();
      const { url } = await ask(alice);
      const { url: callback } = await right.consent(url, `${broker.url}/callback`);
      const other = await browser.person({ hosts, ...look });
      assert.equal((await other.page.goto(callback)).status(), 403);
      await other.inspect('the page for another browser', REFUSALS);
      await needsConsent(alice);
      assert.ok((await right.open(callback, returnUrl)).url.startsWith(returnUrl));
      (await broker.token(HELLO, alice)).is(200);
      assert.ok((await other.page.goto(url)).status() >= 400);
      await other.inspect('the page for a used request', REFUSALS);
      await other.stop();
    }
  });

  test('without an address to return to, the last page says how it ended', async () => {
    for (const look of LOOKS) {
      const person = await browser.person({ hosts, ...look });
      await person.page.goto((await ask(somebody(), { returnUrl: undefined })).url);
      await deny(person.page);
      await person.page.getByRole('heading', { name: 'Cancelled' }).waitFor();
      await person.inspect('the page after Cancel');
      await toProvider(person.page, (await ask(somebody(), { returnUrl: undefined })).url);
      await allowAtProvider(person.page);
      await person.page.getByRole('heading', { name: /is connected to/ }).waitFor();
      assert.equal(new URL(person.page.url()).search, '', 'the code does not stay in the address');
      await person.inspect('the page after consent');
      await person.stop();
    }
  });

  test('a request that has expired says so', async () => {
    const alice = somebody();
    const { url, expiresAt } = await ask(alice, { expiresInMs: 1000 });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, expiresAt - Date.now()) + 200));
    for (const look of LOOKS) {
      const person = await browser.person({ hosts, ...look });
      const answer = await person.page.goto(url);
      assert.equal(answer.status(), 410);
      await person.inspect('the page for an expired request', REFUSALS);
      await person.stop();
    }
    await needsConsent(alice);
  });
});

describe('pages that are reached otherwise', () => {
  test('a link nobody made', async () => {
    for (const look of LOOKS) {
      const person = await browser.person({ hosts, ...look });
      for (const path of ['/authorize/car_0000000000000000000000', '/authorize/rubbish', '/callback?state=x&code=y', '/callback', '/setup/rubbish']) {
        const answer = await person.page.goto(broker.url + path);
        assert.ok(answer.status() >= 400 && answer.status() < 500, `${path}: ${answer.status()}`);
        await person.inspect(path, REFUSALS);
      }
      await person.stop();
    }
  });

  test('the first page', async () => {
    for (const look of LOOKS) {
      const person = await browser.person({ hosts, ...look });
      const answer = await person.page.goto(broker.url);
      assert.equal(answer.status(), 200);
      await person.inspect('the first page');
      await person.stop();
    }
  });

  test('pasting a key', async () => {
    for (const look of LOOKS) {
      const alice = somebody();
      const person = await browser.person({ hosts, ...look });
      await person.page.goto((await ask(alice, {}, keys.uid)).url);
      await person.inspect('the page that asks for a key');
      await person.page.locator('#key').fill('two words');
      await person.page.keyboard.press('Enter');
      await person.page.locator('#key-error').waitFor();
      await person.inspect('the page that refuses a key', REFUSALS);
      await needsConsent(alice, keys.uid);
      await person.page.locator('#key').fill(`pasted-key-of-${alice.id}`);
      await person.page.keyboard.press('Enter');
      await back(person);
      assert.equal((await broker.token(keys.uid, alice)).is(200).body.token, `pasted-key-of-${alice.id}`);
      await person.stop();
    }
  });

  test('every page comes with the headers that keep it to itself', async () => {
    const { url } = await ask(somebody());
    for (const address of [url, `${broker.url}/`, `${broker.url}/authorize/rubbish`, `${broker.url}/callback`]) {
      const { headers } = await fetch(address, { headers: { accept: 'text/html' } });
      const policy = headers.get('content-security-policy') ?? '';
      for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", 'form-action']) {
        assert.ok(policy.includes(part), `${address}: ${policy}`);
      }
      assert.doesNotMatch(policy, /unsafe|\*/);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', address);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', address);
      assert.match(headers.get('cache-control') ?? '', /no-store/, address);
      assert.equal(headers.get('access-control-allow-origin'), null, address);
    }
  });

  test('a form from another site is refused', async () => {
    const alice = somebody();
    const { url } = await ask(alice);
    for (const site of ['cross-site', 'same-site']) {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'sec-fetch-site': site, origin: 'https://evil.example.test', 'content-type': 'application/x-www-form-urlencoded' },
        body: 'decision=allow&form_token=x',
        redirect: 'manual',
      });
      assert.ok(answer.status >= 400 && answer.status < 500, `${site}: ${answer.status}`);
    }
    await needsConsent(alice);
  });
});
