/** Random bytes for so many are drawn at once: asking for each costs more than all the rest. */
const drawn = 256;
const bytesEach = 10;
let pool = Buffer.alloc(0);

/** A UUID of version 7: its beginning is the time, so that an index of them grows at one end. */
export function makeUuid(wallMs: number): string {
  if (pool.byteLength < bytesEach)
    pool = Buffer.from(crypto.getRandomValues(new Uint8Array(drawn * bytesEach)));
  const bytes = pool.subarray(0, bytesEach);
  pool = pool.subarray(bytesEach);
  bytes[0] = 0x70 | ((bytes[0] ?? 0) & 0x0f);
  bytes[2] = 0x80 | ((bytes[2] ?? 0) & 0x3f);
  const time = Math.floor(wallMs).toString(16).padStart(12, "0");
  const hex = bytes.toString("hex");
  return `${time.slice(0, 8)}-${time.slice(8)}-${hex.slice(0, 4)}-${hex.slice(4, 8)}-${hex.slice(8)}`;
}
