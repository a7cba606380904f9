// The commands and programs of the README do what it says, in the order in which a newcomer would try them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BINARY, startBroker } from '../broker.mjs';
import { Visitor } from '../visitor.mjs';

const run = promisify(execFile);
const here = fileURLToPath(new URL('..', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const blocks = (language) => [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, code]) => code);

let broker, variables;

before(async () => {
  broker = await startBroker({ folderName: '.carnet' });
  await mkdir(join(broker.folder, 'bin'));
  await symlink(resolve(BINARY), join(broker.folder, 'bin/carnet'));
});

after(() => broker?.stop());

/** A shell in the folder in which the server was started, as the README has it, but for the port. */
const shell = (script) =>
  run('sh', ['-ec', script.replaceAll('http://127.0.0.1:7070', broker.url)], {
    cwd: broker.folder,
    env: { PATH: `${join(broker.folder, 'bin')}:${process.env.PATH}`, HOME: broker.folder },
  });

const atTheProvider = async (token) =>
  (await fetch(`${broker.url}/demo/api/me`, { headers: { authorization: `Bearer ${token}` } })).json();

test('the first token is printed, and the demo provider takes it', async () => {
  const [first, curl] = blocks('sh');
  const token = (await shell(first)).stdout.trim();
  assert.equal((await atTheProvider(token)).type, 'app');
  assert.equal(JSON.parse((await shell(curl)).stdout).type, 'app');
});

test('a command is run with a token of its own', async () => {
  assert.match((await shell(blocks('sh')[2])).stdout, /^a token of \d{2,} characters\n$/);
});

test('status and the program say the same version', async () => {
  const of = async (command) => JSON.parse((await shell(`carnet ${command} --json`)).stdout).version;
  assert.equal(await of('status'), await of('version'));
});

test('env print sets what a program needs', async () => {
  const { stdout } = await shell(`${blocks('sh')[3]}\nenv`);
  variables = Object.fromEntries(stdout.split('\n').filter((line) => /^(CARNET|VERCEL)_/.test(line)).map((line) => line.split(/=(.*)/s)));
  assert.equal(variables.CARNET_URL, broker.url);
  assert.equal(variables.VERCEL_OIDC_TOKEN, variables.CARNET_OIDC_TOKEN);
});

test('the Rust program is an example of the client, word for word', async () => {
  const example = await readFile(new URL('../../crates/sdk/examples/first_token.rs', import.meta.url), 'utf8');
  assert.equal(example.slice(example.indexOf('use carnet_sdk')), blocks('rust')[0]);
});

const PROGRAMS = [
  ['TypeScript', 'js', (code) => run(process.execPath, ['--import', './redirect.mjs', '--input-type=module', '--eval', code], { cwd: here, env: { PATH: process.env.PATH, ...variables } })],
  ['Python', 'python', (code) => run(process.env.CARNET_TEST_PYTHON ?? 'python3', ['-c', code], { cwd: here, env: { PATH: process.env.PATH, ...variables } })],
  ['Rust', 'rust', () => run('cargo', ['run', '--quiet', '--locked', '--package', 'carnet-sdk', '--example', 'first_token'], { cwd: root, env: { ...process.env, ...variables } })],
];
for (const [name, language, start] of PROGRAMS) {
  test(`the ${name} program: a token of the application, a link for Alice, and after consent a token of hers`, async () => {
    await broker.revoke('demo/hello', { subject: { type: 'user', id: 'alice' } });
    const [code] = blocks(language);
    const lines = async () => Object.fromEntries((await start(code)).stdout.trim().split('\n').map((line) => line.split(' ')));
    const first = await lines();
    assert.equal((await atTheProvider(first.app)).type, 'app');
    const back = 'http://localhost:3000/';
    assert.ok((await new Visitor().consent(first.open, back)).url.startsWith(back));
    assert.equal((await atTheProvider((await lines()).alice)).type, 'person');
  });
}
