import { expect, test } from "bun:test";
import type { Message } from "../wire/messages.ts";
import { parseBody, toBody } from "./envelope.ts";
import { clientLimits } from "./limits.ts";

const stamp = { id: "id-1", sender: "web.1" };
const { keysMax, keyBytesMax, messageBytesMax } = clientLimits;
const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, ""]));

test("a message at each of its limits is taken, and reads back with its id and its sender", () => {
  for (const message of [
    {},
    keys(keysMax),
    { ["k".repeat(keyBytesMax)]: "" },
    { "🚀 any\ntext": '\0 "{}' },
  ]) {
    expect(parseBody(toBody(message, stamp))).toEqual({ ...message, _id: "id-1", _src: "web.1" });
  }
});

test.each([
  ["a key too many", keys(keysMax + 1), "too_large", `at most ${keysMax} keys`],
  ["a key without a name", { "": "x" }, "invalid", "key is 1 to"],
  ["a key a byte too long", { ["k".repeat(keyBytesMax + 1)]: "" }, "invalid", "key is 1 to"],
  ["a key of few letters and many bytes", { ["🚀".repeat(33)]: "" }, "invalid", "key is 1 to"],
  ["a number", { price: 1 }, "invalid", "message.price: expected a string, found number"],
  ["a map", { order: {} }, "invalid", "message.order: expected a string, found object"],
  ["nothing", { order: undefined }, "invalid", "message.order: expected a string, found undefined"],
  ["too many bytes", { body: "x".repeat(messageBytesMax) }, "too_large", `at most ${messageBytesMax} bytes`],
  ["as many bytes in few letters", { body: "🚀".repeat(messageBytesMax / 4) }, "too_large", "bytes"],
])("refused by name: %s", (_, message, code, text) => {
  expect(() => toBody(message as unknown as Message, stamp)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) }),
  );
});

test("who publishes cannot say that it is somebody else, nor that its message is another", () => {
  const forged = { _id: "another", _src: "nines", _expires: "1", _seq: "7", n: "1" };
  const expiresAt = 1_700_000_000_000;
  expect(parseBody(toBody(forged, { ...stamp, expiresAt }))).toEqual({
    _id: "id-1",
    _src: "web.1",
    _expires: String(expiresAt),
    _seq: "7",
    n: "1",
  });
});

test.each([
  "",
  "garbage",
  "[]",
  "null",
  '"text"',
  "7",
  '{"n":1}',
  '{"n":null}',
  '{"n":{}}',
  '{"n":"1"',
  "\xff\xfe",
])("what is no flat map of strings is no message: %j", (text) => {
  expect(() => parseBody(Buffer.from(text, "latin1"))).toThrow(expect.objectContaining({ code: "invalid" }));
});
