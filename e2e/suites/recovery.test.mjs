// The secrets of a team, exported for the operator's recovery key: read by an independent implementation of age, and taken
// over by another server with the command line alone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Decrypter, armor, generateIdentity, identityToRecipient } from 'age-encryption';
import { BINARY, startBroker } from '../broker.mjs';

const run = promisify(execFile);
let identity, recipient, here, there, plain;

/** The command line, in the folder of a broker. */
async function carnet(broker, ...line) {
  const env = { PATH: process.env.PATH, HOME: broker.folder };
  try {
    const { stdout } = await run(BINARY, [...line, '--json'], { cwd: broker.folder, env });
    return { code: 0, json: JSON.parse(stdout) };
  } catch (error) {
    return { code: error.code, json: JSON.parse(error.stdout) };
  }
}

before(async () => {
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
  here = await startBroker({ flags: ['--recovery-key', recipient], folderName: '.carnet' });
  plain = await startBroker({ folderName: '.carnet' });
  there = await startBroker({ folderName: '.carnet' });
});

after(async () => {
  await Promise.all([here?.stop(), plain?.stop(), there?.stop()]);
});

test('secrets leave for the recovery key alone, and are taken over by who holds it', async () => {
  const data = { subjectType: 'user' };
  const project = { projectId: here.dev.projectId };
  await here.api('POST', '/v1/connect/connectors', {
    json: { service: 'keys', name: 'people', type: 'api-key', data, ...project },
  });
  await here.api('POST', '/v1/connect/connectors', {
    json: { service: 'keys', name: 'app', type: 'api-key', data: { values: [{ value: 'sk-of-the-app' }] }, ...project },
  });
  const bot = { service: 'slack', name: 'bot', type: 'api-key', data: { values: [{ value: 'sk-of-the-bot' }] }, ...project };
  const triggers = { enabled: true, signingSecret: 'sk-of-slack-before' };
  await here.api('POST', '/v1/connect/connectors', { json: { ...bot, triggers, triggerDestination: { path: '/slack' } } });
  const turned = { signingSecret: 'sk-of-slack-now' };
  (await here.api('PATCH', '/v1/connect/connectors/slack%2Fbot/triggers', { json: turned })).is(200);
  const tokens = [{ accessToken: 'sk-of-ada', subject: { type: 'user', id: 'ada' }, environment: 'development' }];
  (await here.api('POST', '/v1/connect/token/keys%2Fpeople/import', { json: { tokens } })).is(200);

  const exported = await carnet(here, 'export', '--recovery-key', recipient, '-o', 'team.json');
  assert.equal(exported.code, 0, JSON.stringify(exported.json));
  const text = await readFile(join(here.folder, 'team.json'), 'utf8');
  assert.doesNotMatch(text, /sk-of/);
  const file = JSON.parse(text);
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const opened = await decrypter.decrypt(armor.decode(file.secrets), 'text');
  const secrets = JSON.parse(opened);
  assert.equal(secrets.connectors['keys/app'].values[0].value, 'sk-of-the-app');
  const signing = secrets.triggers['slack/bot'].map(({ value, until }) => [value, typeof until]);
  assert.deepEqual(signing, [['sk-of-slack-now', 'object'], ['sk-of-slack-before', 'number']]);
  const grant = secrets.grants.find((one) => one.uid === 'keys/people');
  assert.equal(grant.accessToken, 'sk-of-ada');
  const recorded = (await here.api('GET', '/v1/audit?action=secrets.export')).body.events;
  assert.equal(recorded.length, 1);
  assert.equal(recorded[0].detail.recoveryKey, recipient);

  await writeFile(join(there.folder, 'team.json'), text);
  await writeFile(join(there.folder, 'secrets.json'), opened, { mode: 0o600 });
  const taken = await carnet(there, 'import', '--from', 'carnet', 'team.json', '--secrets', 'secrets.json', '--yes');
  assert.equal(taken.code, 0, JSON.stringify(taken.json));
  const app = await carnet(there, 'token', 'keys/app', '-s', 'app');
  assert.equal(app.json.token, 'sk-of-the-app');
  const events = (await there.api('GET', '/v1/connect/connectors/slack%2Fbot/triggers')).is(200).body;
  assert.equal(events.enabled, true);
  assert.equal(events.destinations[0].path, '/slack');
  // The secret before is good for as long as it was.
  const [newest, before] = events.signingSecrets;
  assert.deepEqual([events.signingSecrets.length, newest.until], [2, null]);
  assert.ok(Math.abs(before.until - secrets.triggers['slack/bot'][1].until) < 60_000);
  // The project came along by its name; its workloads are those who may ask.
  const [{ name }] = file.projects;
  const workload = await there.api('POST', `/v1/projects/${name}/token`, { json: { environment: 'development' } });
  const ada = await there.api('POST', '/v1/connect/token/keys%2Fpeople', {
    as: workload.is(200).body.token,
    json: { subject: { type: 'user', id: 'ada' } },
  });
  assert.equal(ada.is(200).body.token, 'sk-of-ada');
});

test('no secret leaves for another key, for a workload, or where no key is named', async () => {
  const other = await identityToRecipient(await generateIdentity());
  const refused = await carnet(here, 'export', '--recovery-key', other);
  assert.equal(refused.code, 6);
  assert.equal(refused.json.error.code, 'forbidden');
  assert.match(refused.json.error.next[0].command, new RegExp(recipient));
  assert.equal((await carnet(plain, 'export', '--recovery-key', recipient)).code, 3);
  assert.equal((await carnet(plain, 'export')).code, 0);
  const path = '/v1/export/secrets';
  (await here.api('POST', path, { as: here.dev.oidcToken, json: { recoveryKey: recipient } })).is(403, 'forbidden');
});
