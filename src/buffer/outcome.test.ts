import { expect, test } from "bun:test";
import { retryAfterMsMax } from "./limits.ts";
import { faultWindowMs, judge, type Outcome, parseRetryAfter, toOutcome } from "./outcome.ts";

const wall = new Date("2030-01-01T00:00:00Z");
const kinds: readonly (readonly [number, Outcome["kind"]])[] = [
  [200, "delivered"],
  [204, "delivered"],
  [299, "delivered"],
  [301, "refused"],
  [307, "refused"],
  [304, "refused"],
  [400, "refused"],
  [401, "refused"],
  [404, "refused"],
  [409, "refused"],
  [422, "refused"],
  [408, "down"],
  [425, "down"],
  [429, "down"],
  [502, "down"],
  [503, "down"],
  [504, "down"],
  [500, "faulted"],
  [501, "faulted"],
];
for (const [status, kind] of kinds) {
  test(`${status} means ${kind}`, () => expect(toOutcome(status, null, wall).kind).toBe(kind));
}

const retries: readonly (readonly [string | null, number | undefined])[] = [
  [null, undefined],
  ["", undefined],
  ["soon", undefined],
  ["3", 3_000],
  [" 0 ", 0],
  ["-5", 0],
  ["99999999", retryAfterMsMax],
  ["Tue, 01 Jan 2030 00:00:10 GMT", 10_000],
  ["Mon, 31 Dec 2029 23:59:00 GMT", 0],
];
for (const [text, ms] of retries) {
  test(`Retry-After ${JSON.stringify(text)} is ${ms} ms`, () =>
    expect(parseRetryAfter(text, wall)).toBe(ms as number));
}

test("a 500 is the write's fault while others get through, and the target's when none does", () => {
  const outcome = toOutcome(500, null, wall);
  expect(judge(outcome, 1_000, 1_000 + faultWindowMs - 1).kind).toBe("refused");
  expect(judge(outcome, 1_000, 1_000 + faultWindowMs).kind).toBe("down");
  expect(judge(outcome, undefined, 0).kind).toBe("down");
  expect(judge({ kind: "delivered" }, undefined, 0).kind).toBe("delivered");
});
