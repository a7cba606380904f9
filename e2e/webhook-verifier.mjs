// An app's verifier of forwarded events, the official one, in a process of its own: headers go in as JSON, and what it
// says comes out.
import { createConnectWebhookVerifier } from '@vercel/connect/chat';

let text = '';
for await (const chunk of process.stdin) text += chunk;
const { headers, body } = JSON.parse(text);
const request = new Request('https://app.example.test/hook', { method: 'POST', headers, body });
let told;
try {
  told = { accepted: await createConnectWebhookVerifier()(request, body) };
} catch (error) {
  told = { refused: error.message };
}
process.stdout.write(JSON.stringify(told));
