// A PNG of one colour, made from its chunks (PNG, third edition, §5), different each time.
import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';

/** CRC-32 where this Node has none of its own (before 20.15). */
const crc32 =
  zlib.crc32 ??
  ((bytes) => {
    let crc = ~0;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc >>> 0;
  });

function chunk(type, data) {
  const named = Buffer.concat([Buffer.from(type), data]);
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  crc.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, crc]);
}

/** `side` pixels square. */
export function png(side = 640) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2], 8);
  const line = Buffer.concat([Buffer.alloc(1), Buffer.alloc(side * 3, randomBytes(3))]);
  const pixels = zlib.deflateSync(Buffer.concat(Array(side).fill(line)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}
