import { expect, test } from "bun:test";
import { judgeMemory } from "./memory.ts";

test("memory is judged by the quota, and not at all without one", () => {
  const verdicts = [9, 10, 11, 20, 21].map((bytes) => judgeMemory(bytes, 10));
  expect(verdicts).toEqual(["fine", "fine", "over_quota", "over_quota", "far_over_quota"]);
  expect(judgeMemory(1e12, 0)).toBe("fine");
});
