import { describe, expect, test } from "bun:test";
import { NinesError } from "../std/errors.ts";
import { toMeasures } from "./expression.ts";
import { toMeasureText, toText } from "./expression-text.ts";
import { parseExpression, parseMatchers } from "./parser.ts";

const again = (text: string) => toText(parseExpression(text), toMeasureText);
const refusal = (text: string) => {
  try {
    parseExpression(text);
  } catch (error) {
    if (error instanceof NinesError && error.code === "invalid") return error.message;
    throw error;
  }
  throw new Error(`was understood: ${text}`);
};

describe("what is understood", () => {
  test.each([
    ['p99(http.latency_ms{app="shop"}, 1m) < 50', 'p99(http.latency_ms{app="shop"}) < 50'],
    ["sum(router.connections) > 10", "sum(router.connections) > 10"],
    [
      'rate(errors{app="shop"}[5m]) / rate(requests{app="shop"}[5m]) < 0.01',
      '(rate(errors{app="shop"}) / rate(requests{app="shop"})) < 0.01',
    ],
    ["1 + 2 * sum(x) - 3 >= -4", "((1 + (2 * sum(x))) - 3) >= -(4)"],
    ["max(x) < 1s and min(y) == 2 or count(z) != 0", "((max(x) < 1000 and min(y) == 2) or count(z) != 0)"],
    ["(max(x) < 1 or min(y) > 2) and avg(z) <= 1e3", "((max(x) < 1 or min(y) > 2) and avg(z) <= 1000)"],
    ['p99.9(x{a!=\'b\', c=~"5..", d!~""}) < 1', 'p99.9(x{a!="b",c=~"5..",d!~""}) < 1'],
  ])("%s", (text, expected) => {
    expect(again(text)).toBe(expected);
  });

  test("a window stands in brackets or behind a comma, and has any unit", () => {
    const windows = ["sum(x, 90s) > 1", "sum(x[1m30s]) > 1", "sum(x, 1.5m) > 1"].map(
      (text) => toMeasures(parseExpression(text))[0]?.windowMs,
    );
    expect(windows).toEqual([90_000, 90_000, 90_000]);
  });

  test("matchers alone, with braces and without", () => {
    expect(parseMatchers('{app="shop"}')).toEqual(parseMatchers('app="shop"'));
    expect(parseMatchers("")).toEqual([]);
  });
});

describe("what is not understood names the column, what it found and what it expected", () => {
  test.each([
    ["", 'column 1: expected a number, a function or "(", found the end'],
    ["p99(http.latency_ms, 1m)", "column 1: expected a comparison, found a value alone"],
    ["p99(http.latency_ms 1m) < 5", 'column 21: expected {matchers}, a window as [1m], or ")", found "1m"'],
    ["frob(x) < 1", "column 1: there is no function frob, expected p50 to p99.9, sum, avg"],
    ["p100(x) < 1", "column 1: there is no function p100"],
    ["router.connections > 10", "column 1: the metric router.connections stands alone"],
    ['sum(x{app="shop") > 1', 'column 17: expected "," or "}", found ")"'],
    ["sum(x{app=shop}) > 1", 'column 11: expected a value in quotes, as "shop", found "shop"'],
    ['sum(x{app~"shop"}) > 1', 'column 10: "~" has no meaning here'],
    ['sum(x{app=~"("}) > 1', 'column 12: "(" is no regular expression'],
    ['sum(x{app="shop}) > 1', "column 11: the quote is never closed"],
    ["sum(x) = 1", 'column 8: expected a comparison; write "==", found "="'],
    ["1 < sum(x) < 3", 'column 12: expected the end, "and" or "or"; comparisons do not chain'],
    ["(sum(x) < 1) + 2 > 0", "column 1: expected a number, found a comparison"],
    ["sum(x, 5) < 1", 'column 8: expected a window as 30s, 1m or 6h, found "5"'],
    ["sum(x, 40d) < 1", 'column 8: a window has 1s to 30d, found "40d"'],
    ["sum(x) < 5xy", 'column 10: "5xy" is neither a number nor a duration'],
    ["sum(x) < 1 sum", 'column 12: expected the end, an operator or a comparison, found "sum"'],
    ["1 < 2", "column 1: the expression measures nothing"],
    [`${"(".repeat(60)}sum(x)`, "levels deep"],
    [`sum(x) < ${"1+".repeat(1_500)}1`, "more than 2000 characters"],
  ])("%s", (text, expected) => {
    expect(refusal(text)).toContain(expected);
  });
});
