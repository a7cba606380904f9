// A certificate for a name that is not ours, signed by itself: for tests that stand in for its owner, trusted by the
// process under test alone. X.509 (RFC 5280 §4.1), in DER.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts) => der(0x30, ...parts);
const octets = (part) => der(0x04, part);
const yes = der(0x01, [0xff]);
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
const time = (date) => der(0x17, `${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`);
const pem = (label, bytes) => `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;

/** How a key is made, and what its signatures are called. */
const KINDS = {
  ec: { of: ['ec', { namedCurve: 'P-256' }], called: sequence(oid('2a8648ce3d040302')) },
  rsa: { of: ['rsa', { modulusLength: 2048 }], called: sequence(oid('2a864886f70d01010b'), der(0x05)) },
};
const COMMON_NAME = '550403';
const SUBJECT_KEY = '551d0e';
const KEY_USAGE = '551d0f';
const ALTERNATIVE_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';

/** `{ cert, key }` in PEM, for this host name, for a day. The key is of the kind `ec` or `rsa`. */
export function certificateFor(host, kind = 'ec') {
  const { of, called } = KINDS[kind];
  const { publicKey, privateKey } = generateKeyPairSync(...of);
  const name = sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, host))));
  const now = Date.now();
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const extension = (id, value, critical = []) => sequence(oid(id), critical, octets(value));
  const body = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1, ...randomBytes(15)]),
    called,
    name,
    sequence(time(new Date(now - 3_600_000)), time(new Date(now + 86_400_000))),
    name,
    spki,
    der(0xa3, sequence(
      extension(BASIC_CONSTRAINTS, sequence(yes), yes),
      extension(KEY_USAGE, der(0x03, [2, 0x84]), yes),
      extension(SUBJECT_KEY, octets(createHash('sha1').update(spki).digest())),
      extension(ALTERNATIVE_NAME, sequence(der(0x82, host))),
    )),
  );
  const signature = sign('sha256', body, privateKey);
  const cert = sequence(body, called, der(0x03, [0], signature));
  return { cert: pem('CERTIFICATE', cert), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}
