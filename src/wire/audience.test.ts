import { describe, expect, test } from "bun:test";
import {
  type Audience,
  isInShare,
  type Person,
  parseAudience,
  parseSticky,
  toAdmission,
  toBucket,
} from "./audience.ts";

const person = (
  given: Partial<{ key: string; address: string; headers: object; cookies: object }>,
): Person => ({
  key: given.key ?? "somebody",
  address: given.address ?? "203.0.113.9",
  header: (name) => (given.headers as Record<string, string> | undefined)?.[name],
  cookie: (name) => (given.cookies as Record<string, string> | undefined)?.[name],
});
const admits = (audience: Audience, of: Person) => toAdmission(audience, "seed")(of);

describe("who is let in by name", () => {
  const audience = parseAudience(
    {
      headers: { "X-Team": ["red", "blue"], "X-Any": "*" },
      cookies: { staff: "yes" },
      users: ["anna"],
      addresses: ["10.0.0.0/8", "fd00::/8"],
    },
    "audience",
  );
  const cases: readonly (readonly [string, Person, boolean])[] = [
    ["a header with one of its values", person({ headers: { "x-team": "blue" } }), true],
    ["a header with another value", person({ headers: { "x-team": "green" } }), false],
    ["a header of any value", person({ headers: { "x-any": "1" } }), true],
    ["a cookie", person({ cookies: { staff: "yes" } }), true],
    ["a cookie with another value", person({ cookies: { staff: "yess" } }), false],
    ["a user", person({ key: "anna" }), true],
    ["a user whose name begins so", person({ key: "annabel" }), false],
    ["an address of the range", person({ address: "10.200.3.4" }), true],
    ["an address of the IPv6 range", person({ address: "fd12::9" }), true],
    ["anybody else", person({}), false],
  ];
  for (const [what, who, expected] of cases) test(what, () => expect(admits(audience, who)).toBe(expected));
});

test("0 % is nobody, 100 % is everybody", () => {
  for (let i = 0; i < 1_000; i++) {
    expect(admits({ percent: 0 }, person({ key: `u${i}` }))).toBe(false);
    expect(admits({ percent: 100 }, person({ key: `u${i}` }))).toBe(true);
  }
});

test("20,000 users, 1 to 100 %: nobody leaves, and each share is within half a percent", () => {
  const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
  let before = new Set<string>();
  for (const percent of [0.5, 1, 5, 10, 25, 33.33, 50, 100]) {
    const now = new Set(users.filter((user) => isInShare("rollout-7", user, percent)));
    for (const user of before) expect(now.has(user)).toBe(true);
    expect(Math.abs((now.size / users.length) * 100 - percent)).toBeLessThan(0.5);
    before = now;
  }
});

test("another seed lets other users go first", () => {
  const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
  const first = users.filter((user) => isInShare("one", user, 10));
  const both = first.filter((user) => isInShare("two", user, 10));
  expect(both.length / first.length).toBeLessThan(0.15);
});

test("the bucket is floor(hash × total / 2³²), exactly", () => {
  for (let i = 0; i < 2_000; i++) {
    const hash = BigInt(toBucket("s", `k${i}`, 2 ** 20));
    expect(toBucket("s", `k${i}`, 2 ** 10)).toBe(Number(hash >> 10n));
  }
});

describe("a malformed audience is refused by place and reason", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [null, "audience: expected an audience"],
    [[], "audience: expected an audience"],
    [{ percent: 101 }, "audience.percent: expected a number from 0 to 100, found 101"],
    [{ percent: "10" }, "audience.percent"],
    [{ percent: Number.NaN }, "audience.percent"],
    [{ users: "anna" }, "audience.users: expected a list"],
    [{ users: [""] }, "audience.users[0]"],
    [{ users: Array.from({ length: 1_001 }, () => "u") }, "audience.users: expected a list of at most 1000"],
    [
      { addresses: ["10.0.0.0/8", "10.0.0.0/40"] },
      'audience.addresses[1]: expected a range such as 10.0.0.0/8, found "10.0.0.0/40"',
    ],
    [{ headers: ["X"] }, "audience.headers: expected a map"],
    [{ headers: { "X Y": "1" } }, "audience.headers: expected the name"],
    [{ cookies: { a: 1 } }, "audience.cookies.a"],
  ];
  for (const [value, message] of cases) {
    test(message, () => expect(() => parseAudience(value, "audience")).toThrow(message));
  }
  test("sticky", () => {
    expect(parseSticky({ kind: "header", name: "X-User" }, "sticky")).toEqual({
      kind: "header",
      name: "x-user",
    });
    expect(() => parseSticky({ kind: "path", name: "x" }, "sticky")).toThrow(
      "sticky: expected a header or a cookie",
    );
    expect(() => parseSticky({ kind: "cookie", name: "a b" }, "sticky")).toThrow("sticky");
  });
});
