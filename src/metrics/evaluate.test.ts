import { describe, expect, test } from "bun:test";
import { judge, parseAssert } from "./assert.ts";
import { evaluate, type Series, type Source } from "./evaluate.ts";
import { Histogram } from "./histogram.ts";
import { toTest } from "./matcher.ts";
import { parseExpression } from "./parser.ts";

type Given = Partial<Series> & { readonly name: string };

const base = {
  increase: 0,
  last: Number.NaN,
  min: Number.NaN,
  max: Number.NaN,
  avg: Number.NaN,
  samples: 1,
  ageMs: 0,
};
const counter = (name: string, increase: number, labels = {}): Given => ({
  ...base,
  name,
  kind: "counter",
  increase,
  last: increase,
  labels,
});
const gauge = (name: string, last: number, labels = {}, rest: Partial<Series> = {}): Given => ({
  ...base,
  name,
  kind: "gauge",
  last,
  min: last,
  max: last,
  avg: last,
  labels,
  ...rest,
});
const histogram = (name: string, values: readonly number[], labels = {}): Given => {
  const made = new Histogram();
  for (const value of values) made.add(value);
  return {
    ...base,
    name,
    kind: "histogram",
    increase: values.length,
    last: values.length,
    histogram: made,
    labels,
  };
};
const source = (...all: readonly Given[]): Source => ({
  select: (metric, matchers) =>
    all.filter((one) => one.name === metric && toTest(matchers)(one.labels ?? {})) as unknown as Series[],
});
const find = (text: string, ...all: readonly Given[]) => evaluate(parseExpression(text), source(...all), 0);
const record = (expr: string, rest = {}) => parseAssert("x", { expr, ...rest });

describe("values", () => {
  const latencies = Array.from({ length: 100 }, (_, index) => index + 1);
  test.each([
    ["p99(h) < 50", [histogram("h", latencies)], 99],
    [
      "p50(h) < 50",
      [histogram("h", latencies.slice(0, 50)), histogram("h", latencies.slice(50), { a: "b" })],
      50,
    ],
    ["avg(h) < 50", [histogram("h", [10, 20])], 15],
    ["sum(g) < 50", [gauge("g", 3), gauge("g", 4, { part: "2" })], 7],
    ['sum(g{part="2"}) < 50', [gauge("g", 3), gauge("g", 4, { part: "2" })], 4],
    ["max(g, 1m) < 50", [gauge("g", 3, {}, { max: 9 })], 9],
    ["min(g, 1m) < 50", [gauge("g", 3, {}, { min: 1 })], 1],
    ["avg(g, 1m) < 50", [gauge("g", 3, {}, { avg: 2 }), gauge("g", 3, { a: "b" }, { avg: 4 })], 3],
    ["count(g) < 50", [gauge("g", 3), gauge("g", 3, { a: "b" })], 2],
    ["increase(c, 1m) < 50", [counter("c", 6), counter("c", 6, { a: "b" })], 12],
    ["rate(c, 1m) < 50", [counter("c", 120)], 2],
    ["rate(h, 1m) < 50", [histogram("h", latencies)], 100 / 60],
    ["age(g) < 50", [gauge("g", 3, {}, { ageMs: 40 })], 40],
    ["sum(g) * 2 - 1 < 50", [gauge("g", 3)], 5],
  ] as const)("%s", (text, given, value) => {
    const found = find(text, ...given).value ?? Number.NaN;
    expect(Math.abs(found - value) / Math.max(1, value)).toBeLessThan(0.011);
  });
});

describe("three values", () => {
  test("a low-water mark whose series vanished is violated, not silently fine", () => {
    const { verdict, finding } = judge(record("sum(router.connections) > 10"), source(), 0);
    expect(verdict).toBe("violated");
    expect(finding.why).toContain("there is no sum(router.connections)");
  });
  test.each(["unknown", "ok", "violated"] as const)("no data is %s when the assert says so", (noData) => {
    expect(judge(record("sum(g) > 10", { noData }), source(), 0).verdict).toBe(noData);
  });
  test("no data is unknown while too little of the past is known", () => {
    expect(judge(record("sum(g) > 10"), source(), 0, { covered: false }).verdict).toBe("unknown");
  });
  test("errors that never happened are none, as long as requests were counted", () => {
    const ratio = record("rate(errors, 1m) / rate(requests, 1m) < 0.01");
    expect(judge(ratio, source(counter("requests", 100)), 0).verdict).toBe("ok");
    expect(judge(ratio, source(), 0).verdict).toBe("violated");
  });
  test("no request and no error is 0 / 0, which is unknown", () => {
    const ratio = record("rate(errors, 1m) / rate(requests, 1m) < 0.01");
    const { verdict, finding } = judge(ratio, source(counter("requests", 0), counter("errors", 0)), 0);
    expect(verdict).toBe("unknown");
    expect(finding.why).toContain("not a number");
  });
  test("too few samples are unknown, and say how few", () => {
    const few = judge(record("p99(h) < 50", { minSamples: 100 }), source(histogram("h", [1, 90])), 0);
    expect(few.verdict).toBe("unknown");
    expect(few.finding.why).toContain("2 of the 100 samples");
  });
  test("NaN and infinite samples are no data: they neither hold nor hide what is sound", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(judge(record("max(g) < 50"), source(gauge("g", bad)), 0).verdict).toBe("violated");
      expect(find("max(g) < 50", gauge("g", bad), gauge("g", 70, { a: "b" })).value).toBe(70);
      expect(find("rate(c, 1m) < 50", counter("c", bad), counter("c", 60, { a: "b" })).value).toBe(1);
    }
  });
  test("and, or: what is violated decides an and, what holds decides an or, whatever is not known", () => {
    const given = [gauge("low", 1), gauge("high", 9), counter("c", 0), counter("d", 0)];
    const unknown = "rate(c, 1m) / rate(d, 1m) < 1";
    const cases = { and: ["violated", "unknown", "ok"], or: ["unknown", "ok", "ok"] } as const;
    for (const kind of ["and", "or"] as const) {
      const states = ["max(high) < 5", "max(low) < 5"].map(
        (one) => find(`${one} ${kind} ${unknown}`, ...given).state,
      );
      expect([...states, find(`max(low) < 5 ${kind} max(low) < 6`, ...given).state]).toEqual([
        ...cases[kind],
      ]);
    }
    expect(find("max(low) < 5 and max(high) < 5", ...given)).toMatchObject({
      state: "violated",
      value: 9,
      threshold: 5,
    });
  });
  test("narrowed to a release, only its series count", () => {
    const given = source(gauge("g", 1, { release: "1" }), gauge("g", 9, { release: "2" }));
    const narrow = (value: string) => [{ label: "release", op: "=" as const, value }];
    const claim = record("max(g) < 5");
    expect(judge(claim, given, 0, { narrow: narrow("1") }).verdict).toBe("ok");
    expect(judge(claim, given, 0, { narrow: narrow("2") }).verdict).toBe("violated");
  });
});

describe("records", () => {
  test.each([
    [{}, "assert x.expr: expected a string"],
    [{ expr: "sum(x) <" }, "assert x.expr: column 9: expected a number"],
    [{ expr: "sum(x) < 1", forMs: -1 }, "assert x.forMs: expected a number from 0"],
    [{ expr: "sum(x) < 1", noData: "maybe" }, "assert x.noData: expected one of violated, unknown, ok"],
    [{ expr: "sum(x) < 1", severity: 3 }, "assert x.severity: expected one of"],
    [{ expr: "sum(x) < 1", inhibits: ["{a"] }, "assert x.inhibits.0: column"],
    [[], "assert x: expected an object, found a list"],
  ])("%j is refused with path and reason", (value, expected) => {
    expect(() => parseAssert("x", value)).toThrow(expected);
  });
  test("an assert about one app carries its name", () => {
    expect(record('p99(a{app="shop"}) < 1').labels).toMatchObject({ alertname: "x", app: "shop" });
    expect(record('sum(a{app="shop"}) < sum(b{app="blog"})').labels.app).toBeUndefined();
  });
});
