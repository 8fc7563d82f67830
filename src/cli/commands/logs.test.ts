import { expect, test } from "bun:test";
import { Shown, toRecord } from "./logs.ts";

test("a line of a log comes apart for programs, and an odd one stays whole", () => {
  expect(toRecord("2026-11-23T06:24:17.123456+00:00 app[web.1]: at x[1]: y")).toEqual({
    at: "2026-11-23T06:24:17.123456+00:00",
    source: "app",
    process: "web.1",
    message: "at x[1]: y",
  });
  expect(toRecord("odd")).toEqual({ message: "odd" });
});

test("a tail that starts again at another controller repeats nothing, and remembers only so much", () => {
  const shown = new Shown(3);
  expect(["a", "b", "a", "c", "b"].filter((line) => shown.isNew(line))).toEqual(["a", "b", "c"]);
  expect(["d", "d", "b", "a"].filter((line) => shown.isNew(line))).toEqual(["d", "a"]);
});
