import { expect, test } from "bun:test";
import { murmur3, murmur3Bytes } from "./murmur3.ts";

// Published beside the reference implementation and by those who ported it.
const texts: readonly (readonly [text: string, seed: number, hash: number])[] = [
  ["", 0, 0],
  ["", 1, 0x514e28b7],
  ["", 0xffffffff, 0x81f16f39],
  ["\0\0\0\0", 0, 0x2362f9de],
  ["aaaa", 0x9747b28c, 0x5a97808a],
  ["aaa", 0x9747b28c, 0x283e0130],
  ["aa", 0x9747b28c, 0x5d211726],
  ["a", 0x9747b28c, 0x7fa09ea6],
  ["abcd", 0x9747b28c, 0xf0478627],
  ["abc", 0x9747b28c, 0xc84a62dd],
  ["ab", 0x9747b28c, 0x74875592],
  ["abc", 0, 0xb3dd93fa],
  ["test", 0, 0xba6bd213],
  ["Hello, world!", 0, 0xc0363e43],
  ["Hello, world!", 0x9747b28c, 0x24884cba],
  ["ππππππππ", 0x9747b28c, 0xd58063c1],
  ["The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723],
  ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 0, 0xee925b90],
];
for (const [text, seed, hash] of texts) {
  test(`murmur3 of ${JSON.stringify(text.slice(0, 20))} by ${seed} is ${hash.toString(16)}`, () => {
    expect(murmur3(text, seed)).toBe(hash);
  });
}

const bytes: readonly (readonly [bytes: readonly number[], seed: number, hash: number])[] = [
  [[0xff, 0xff, 0xff, 0xff], 0, 0x76293b50],
  [[0x21, 0x43, 0x65, 0x87], 0, 0xf55b516b],
  [[0x21, 0x43, 0x65, 0x87], 0x5082edee, 0x2362f9de],
  [[0x21, 0x43, 0x65], 0, 0x7e4a8634],
  [[0x21, 0x43], 0, 0xa0f7b07a],
  [[0x21], 0, 0x72661cf4],
  [[0, 0, 0], 0, 0x85f0b427],
  [[0, 0], 0, 0x30f4c306],
  [[0], 0, 0x514e28b7],
];
for (const [input, seed, hash] of bytes) {
  test(`murmur3 of the bytes ${input} by ${seed} is ${hash.toString(16)}`, () => {
    expect(murmur3Bytes(Uint8Array.from(input), seed)).toBe(hash);
  });
}
