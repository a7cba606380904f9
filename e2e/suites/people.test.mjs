// Coming into a team and coming back without a passphrase, with a real browser: the pages of an invitation and of the
// link for another passphrase, looked at in light and dark, wide and narrow.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startBroker } from '../broker.mjs';
import { LOOKS, startBrowser } from '../browser.mjs';

const REFUSALS = [/Failed to load resource: the server responded with a status of 4\d\d/];
const PASSPHRASE = 'correct horse battery';
const ANOTHER = 'four words nobody guesses';

let broker, browser, hosts, second;

before(async () => {
  broker = await startBroker();
  browser = await startBrowser();
  hosts = [new URL(broker.url).host];
  const made = (await broker.api('POST', '/v1/teams', { json: { name: 'Second Team' } })).is(201).body;
  second = { id: made.team.id, token: made.accessToken.token };
});

after(async () => {
  await browser?.stop();
  await broker?.stop();
});

const invite = async (json, team = { id: broker.dev.teamId, token: broker.dev.accessToken }) =>
  (await broker.api('POST', `/v1/teams/${team.id}/invitations`, { as: team.token, json })).is(201).body.url;
const press = (page, name) => page.getByRole('button', { name }).click();
const says = (page, text) => page.getByText(text).first().waitFor();

async function fill(page, fields) {
  for (const [name, value] of Object.entries(fields)) await page.locator(`#${name}`).fill(value);
}

async function signIn(page, email, passphrase) {
  await fill(page, { email, passphrase });
  await press(page, 'Sign in');
}

describe('a stranger with an invitation', () => {
  for (const [n, look] of LOOKS.entries()) {
    test(`makes an account, loses its passphrase, and chooses another, ${look.colorScheme}, ${look.width} px`, async () => {
      const email = `grace${n}@acme.test`;
      const person = await browser.person({ hosts, ...look });
      const { page } = person;
      const url = await invite({ role: 'member' });
      await page.goto(url);
      await person.inspect('the invitation');
      await fill(page, { name: 'Grace Hopper', email, passphrase: 'short' });
      await press(page, 'Make the account and join');
      await says(page, 'at least 15 characters');
      await person.inspect('the invitation, wrong', REFUSALS);
      await fill(page, { passphrase: PASSPHRASE });
      await press(page, 'Make the account and join');
      await page.getByRole('heading', { name: /^You are in/ }).waitFor();
      await person.inspect('after joining');
      await page.getByRole('link', { name: 'Your account' }).click();
      await says(page, email);
      await page.goto(url);
      await says(page, 'cannot be used');
      await person.inspect('an invitation that was used', REFUSALS);

      const path = `/v1/teams/${broker.dev.teamId}/members/${email}/passphrase-reset`;
      const link = (await broker.api('POST', path)).is(201).body.url;
      await page.goto(link);
      await person.inspect('the link for another passphrase');
      await fill(page, { passphrase: 'short' });
      await press(page, 'Change the passphrase');
      await says(page, 'at least 15 characters');
      await person.inspect('the link for another passphrase, wrong', REFUSALS);
      await fill(page, { passphrase: ANOTHER });
      await press(page, 'Change the passphrase');
      await page.getByRole('heading', { name: 'Your passphrase is changed' }).waitFor();
      await person.inspect('the passphrase is changed');
      await page.goto(link);
      await says(page, 'This link cannot be used');
      await person.inspect('a link that was used', REFUSALS);
      await page.goto(`${broker.url}/account`);
      assert.match(page.url(), /\/login\?to=/, 'signed out by it');
      await signIn(page, email, ANOTHER);
      await page.waitForURL('**/account');

      // Signed in: to another team, for somebody else, and to the own.
      await page.goto(await invite({ role: 'viewer', email: 'other@acme.test' }, second));
      await says(page, 'for whom it is not');
      await person.inspect('an invitation of somebody else', REFUSALS);
      await page.goto(await invite({ role: 'owner' }));
      await says(page, 'is in this team already');
      await person.inspect('an invitation to the own team', REFUSALS);
      await page.goto(await invite({ role: 'viewer' }, second));
      await person.inspect('an invitation, signed in');
      await press(page, 'Join');
      await page.getByRole('heading', { name: /^You are in/ }).waitFor();
      const { members } = (await broker.api('GET', `/v1/teams/${second.id}/members`, { as: second.token })).is(200).body;
      assert.equal(members.find((one) => one.email === email).role, 'viewer');
      await person.stop();
    });
  }

  test('needs no scripts, and signs in first where there is an account', async () => {
    const person = await browser.person({ hosts, javaScriptEnabled: false });
    const { page } = person;
    await page.goto(await invite({ role: 'viewer', email: 'heidi@acme.test' }));
    assert.equal(await page.locator('#email').count(), 0, 'the address is the one of the invitation');
    await fill(page, { name: 'Heidi', passphrase: PASSPHRASE });
    await press(page, 'Make the account and join');
    await page.getByRole('heading', { name: /^You are in/ }).waitFor();
    await page.context().clearCookies();
    await page.goto(await invite({ role: 'member' }, second));
    await page.getByRole('link', { name: 'Sign in and come back' }).click();
    await signIn(page, 'heidi@acme.test', PASSPHRASE);
    await page.waitForURL('**/invitation/*');
    await press(page, 'Join');
    await page.getByRole('heading', { name: /^You are in/ }).waitFor();
    await person.stop();
  });
});
