// Passkeys: the one thing on these pages that a form alone cannot do. Everything else works without this file.
'use strict';

const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/** Uses a passkey; which one, the person chooses. */
async function use({ challenge, host }) {
  const publicKey = { challenge: bytes(challenge), rpId: host, userVerification: 'required' };
  const { rawId, response } = await navigator.credentials.get({ publicKey });
  return {
    credential: text(rawId),
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData),
    signature: text(response.signature),
  };
}

/** Makes one. */
async function make({ challenge, host, user, name }) {
  const publicKey = {
    challenge: bytes(challenge),
    rp: { id: host, name: 'Carnet' },
    user: { id: bytes(user), name, displayName: name },
    pubKeyCredParams: [-8, -7].map((alg) => ({ type: 'public-key', alg })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    attestation: 'none',
  };
  const { response } = await navigator.credentials.create({ publicKey });
  return { client_data: text(response.clientDataJSON), authenticator_data: text(response.getAuthenticatorData()) };
}

for (const form of document.querySelectorAll('form[data-passkey]')) {
  if (!globalThis.PublicKeyCredential) continue;
  form.closest('[hidden]')?.removeAttribute('hidden');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const said = form.querySelector('[role=status]');
    said.textContent = '';
    try {
      const fields = await (form.dataset.passkey === 'make' ? make : use)(form.dataset);
      for (const [name, value] of Object.entries(fields)) form.elements.namedItem(name).value = value;
      form.submit();
    } catch {
      said.textContent = 'Your browser gave no passkey. Try again, or sign in another way.';
    }
  });
}
