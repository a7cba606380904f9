// Chromium, strict: whatever it complains about on a page fails the test, and every page is checked for accessibility.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CARNET_TEST_CHROMIUM ?? '/usr/bin/chromium';
// The browser does nothing of its own accord; tests run in containers where it has no sandbox.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Every way in which the pages must be right. */
export const LOOKS = [1440, 390].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, colorScheme })));

export async function startBrowser() {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
  return { person: (options) => person(browser, options), stop: () => browser.close() };
}

/** A browser of one person: its own cookies. `hosts` are all the hosts that may be asked for anything. */
async function person(browser, { hosts, width = 1440, colorScheme = 'light', javaScriptEnabled = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, javaScriptEnabled });
  const complaints = [];
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`content security policy: ${event.violatedDirective} blocked ${event.blockedURI}`);
    });
  });
  context.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (hosts && protocol.startsWith('http') && !hosts.includes(host)) complaints.push(`asked another host: ${request.url()}`);
  });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()} (${page.url()})`);
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  const person = {
    page,
    /** Fails if the browser complained since the last time; `expected` complaints are let pass. */
    content(expected = []) {
      const left = complaints.splice(0).filter((text) => !expected.some((pattern) => pattern.test(text)));
      assert.deepEqual(left, [], `at ${page.url()}`);
    },
    /** The page as it is now: no complaint, nothing inaccessible, no sideways scroll, no secret in sight. */
    async inspect(what, expected = []) {
      person.content(expected);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `${what} scrolls sideways by ${overflow} px at ${width}`);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const told = violations.map((one) => `${one.id}: ${one.help}\n    ${one.nodes.map((node) => node.html).join('\n    ')}`);
      assert.deepEqual(told, [], `${what}, ${colorScheme}, ${width} px`);
      complaints.length = 0;
    },
    stop: () => context.close(),
  };
  return person;
}
