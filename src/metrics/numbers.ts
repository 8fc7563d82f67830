/**
 * How sixty numbers in a row are kept. Most are the same, or whole, or have few digits, and are close to each other: then
 * the smallest is kept, and of all how far they are from it, in as few bits as that needs; of numbers that seldom change,
 * where they do. NaN stands for "no sample". Others are kept as floats of 32 bits, to 6 · 10^-8.
 */
import { BitReader, BitWriter, bitLength } from "./bits.ts";
import { Reader, type Writer } from "./pack.ts";

const zeros = 1;
const constant = 2;
const whole = 3;
const floats = 4;
const sparse = 5;
/** Set when some are missing; then 8 bytes say which are there. */
const gaps = 0x80;
const gapBytes = 8;
const countMax = gapBytes * 8;
/** What a number of few digits is multiplied with to be whole; after them, powers of two that divide large ones. */
const decimals = [1, 10, 100, 1_000] as const;
const powersFrom = decimals.length;
const power = 12;

const bits = new BitWriter();
const values = new Float64Array(countMax);

/** Writes the numbers at `start`, `start + stride`, …, 64 at most; nothing at all when none is there. */
export function packNumbers(
  writer: Writer,
  from: Float64Array,
  start: number,
  stride: number,
  count: number,
): void {
  let present = 0;
  let changes = 0;
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const value = from[at]!;
    if (Number.isNaN(value)) continue;
    if (present > 0 && value !== values[present - 1]) changes++;
    values[present++] = value;
  }
  if (present === 0) return;
  const scale = changes === 0 && values[0] === 0 ? 0 : findScale(present);
  let mode = whole;
  let least = 0;
  let width = 0;
  if (scale === undefined) mode = changes === 0 ? constant : floats;
  else {
    least = toWhole(values[0]!, scale);
    let most = least;
    for (let i = 1; i < present; i++) {
      const value = toWhole(values[i]!, scale);
      if (value < least) least = value;
      if (value > most) most = value;
    }
    width = bitLength(most - least);
    if (changes === 0) mode = least === 0 ? zeros : whole;
    else if (present + (changes + 1) * width < present * width) mode = sparse;
  }
  writer.byte(present < count ? mode | gaps : mode);
  if (present < count) packPresence(writer, from, start, stride, count);
  if (mode === zeros) return;
  if (mode === constant) return writer.double(values[0]!);
  if (mode === floats) {
    for (let i = 0; i < present; i++) writer.float(values[i]!);
    return;
  }
  writer.byte(scale!);
  writer.zigzag(least);
  writer.byte(width);
  if (width > 0) packWhole(writer, present, scale!, least, width, mode === sparse);
}

function packWhole(
  writer: Writer,
  present: number,
  scale: number,
  least: number,
  width: number,
  isSparse: boolean,
): void {
  bits.clear();
  for (let i = 0; i < present; i++) {
    const isNew = i === 0 || values[i] !== values[i - 1];
    if (isSparse) bits.bits(isNew ? 1 : 0, 1);
    if (isNew || !isSparse) bits.bits(toWhole(values[i]!, scale) - least, width);
  }
  bits.end();
  writer.copy(bits.bytes, 0, bits.length);
}

/** Under which all are whole, and can be doubled exactly; undefined when there is none. */
function findScale(present: number): number | undefined {
  let isWhole = true;
  let large = true;
  for (let i = 0; i < present; i++) {
    const value = values[i]!;
    if (!Number.isSafeInteger(value) || Math.abs(value) > 2 ** 51) isWhole = false;
    if (value % 2 ** power !== 0) large = false;
  }
  if (isWhole) return large ? powersFrom : 0;
  for (let scale = 1; scale < decimals.length; scale++) {
    const by = decimals[scale]!;
    let fits = true;
    for (let i = 0; i < present && fits; i++) {
      const value = values[i]!;
      fits = Math.abs(value) < 2 ** 40 && Math.round(value * by) / by === value;
    }
    if (fits) return scale;
  }
  return undefined;
}

function toWhole(value: number, scale: number): number {
  return scale === powersFrom ? value / 2 ** power : Math.round(value * decimals[scale]!);
}

function packPresence(
  writer: Writer,
  from: Float64Array,
  start: number,
  stride: number,
  count: number,
): void {
  for (let byte = 0; byte < gapBytes; byte++) {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) {
      const i = byte * 8 + bit;
      if (i < count && !Number.isNaN(from[start + i * stride]!)) bits |= 1 << bit;
    }
    writer.byte(bits);
  }
}

const reader = new BitReader();

/** Reads what `packNumbers` wrote into `into`, NaN where nothing is. */
export function unpackNumbers(bytes: Buffer, at: number, into: Float64Array, count: number): void {
  const head = bytes[at]!;
  const mode = head & ~gaps;
  const presence = head & gaps ? at + 1 : -1;
  const start = at + 1 + (presence < 0 ? 0 : gapBytes);
  const values = presence < 0 ? count : countPresent(bytes, presence);
  if (mode === zeros) into.fill(0, 0, values);
  else if (mode === constant) into.fill(bytes.readDoubleLE(start), 0, values);
  else if (mode === floats) {
    for (let i = 0; i < values; i++) into[i] = bytes.readFloatLE(start + 4 * i);
  } else unpackWhole(bytes, start, into, values, mode === sparse);
  if (presence >= 0) spreadOut(bytes, presence, into, values, count);
}

function unpackWhole(
  bytes: Buffer,
  start: number,
  into: Float64Array,
  count: number,
  isSparse: boolean,
): void {
  const bytewise = new Reader(bytes, start);
  const scale = bytewise.byte();
  const least = bytewise.zigzag();
  const width = bytewise.byte();
  const times = scale === powersFrom ? 2 ** power : 1;
  const by = scale === powersFrom ? 1 : decimals[scale]!;
  if (width === 0) {
    into.fill((least * times) / by, 0, count);
    return;
  }
  reader.open(bytes, bytewise.at);
  let last = 0;
  for (let i = 0; i < count; i++) {
    if (!isSparse || reader.bits(1) === 1) last = ((least + reader.bits(width)) * times) / by;
    into[i] = last;
  }
}

/** Puts each of the first numbers where it belongs, from the last on. */
function spreadOut(bytes: Buffer, presence: number, into: Float64Array, values: number, count: number): void {
  let from = values;
  for (let i = count - 1; i >= 0; i--) {
    const isThere = (bytes[presence + (i >> 3)]! & (1 << (i & 7))) !== 0;
    into[i] = isThere ? into[--from]! : Number.NaN;
  }
}

function countPresent(bytes: Buffer, presence: number): number {
  let count = 0;
  for (let at = presence; at < presence + gapBytes; at++) {
    for (let left = bytes[at]!; left > 0; left &= left - 1) count++;
  }
  return count;
}
