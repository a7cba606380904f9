// The program that clients.mjs starts.
import * as connect from '@vercel/connect';
import { createInterface } from 'node:readline';

for await (const line of createInterface({ input: process.stdin })) {
  const { name, words } = JSON.parse(line);
  let told;
  try {
    told = { value: (await connect[name](...words)) ?? null };
  } catch (error) {
    const { message, code, status, vendor } = error;
    told = { error: { name: error.constructor.name, message, code, status, vendor } };
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
