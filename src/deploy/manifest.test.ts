import { describe, expect, test } from "bun:test";
import { emptyManifest, parseManifest } from "./manifest.ts";

const types = ["web", "worker", "release"];

test("an empty file, or one with comments only, says nothing", () => {
  for (const text of ["", "\n", "# nothing\n", "---\n", "null\n", "\uFEFF"])
    expect(parseManifest(text, types)).toEqual(emptyManifest);
});

test("everything that may be said is understood", () => {
  const text = `
build: npm run build
build_timeout: 5m
release_timeout: 90s
health: {path: /up, interval: 2s, timeout: 500ms, failures: 5}
scale: {web: 2, worker: 0}
memory: 256M
boot_timeout: 20
drain_timeout: 10s
grace: 5s
domains: [Shop.Example.com, shop.example.com, www.example.com]
routing: {first_byte_timeout: 1m, idle_timeout: 2m, boot_wait: 5s, connect_timeout: 1s, sticky: true,
  retry_reads: false, error_page: "https://x.example/e.html", maintenance_page: "https://x.example/m.html"}
`;
  expect(parseManifest(text, types)).toEqual({
    build: "npm run build",
    buildTimeoutMs: 300_000,
    releaseTimeoutMs: 90_000,
    health: { path: "/up", intervalMs: 2_000, timeoutMs: 500, failures: 5 },
    scale: { web: 2, worker: 0 },
    limits: { bootTimeoutMs: 20_000, drainTimeoutMs: 10_000, graceMs: 5_000, memoryBytes: 256 << 20 },
    domains: ["shop.example.com", "www.example.com"],
    routing: {
      firstByteTimeoutMs: 60_000,
      idleTimeoutMs: 120_000,
      bootWaitMs: 5_000,
      connectTimeoutMs: 1_000,
      sticky: true,
      retryReads: false,
      errorPageUrl: "https://x.example/e.html",
      maintenancePageUrl: "https://x.example/m.html",
    },
  });
});

test("a health path alone has the defaults", () => {
  expect(parseManifest("health: /healthz", types).health).toEqual({
    path: "/healthz",
    intervalMs: 1_000,
    timeoutMs: 1_000,
    failures: 3,
  });
});

describe("what is wrong is told with line, column and what was expected", () => {
  const bad: readonly [string, string, string][] = [
    ["not YAML", "build: [a\nscale: }", "nines.yaml:2:"],
    ["a tab", "scale:\n\tweb: 2", "nines.yaml:2:1: "],
    ["a list", "- a", "nines.yaml:1:1: expected a map of build, "],
    ["text", "hello", "nines.yaml:1:1: expected a map of build, build_timeout"],
    ["an unknown key", "heath: /up", 'nines.yaml:1:1: unknown key "heath"; did you mean "health"?'],
    ["a strange key", "zzz: 1", 'unknown key "zzz"; expected one of build, '],
    [
      "a nested unknown key",
      "health:\n  path: /up\n  intervall: 1s",
      'nines.yaml:3:3: unknown key "intervall"; did you mean "interval"?',
    ],
    ["a key twice", "build: a\nbuild: b", "nines.yaml:2:1: Map keys must be unique"],
    ["a number for a command", "build: 3", "nines.yaml:1:8: expected a command, found 3"],
    ["nothing for a command", "build:\n", "nines.yaml:1:7: expected a command, found nothing"],
    ["a relative health path", "health: up", "nines.yaml:1:9: expected a path that starts with /"],
    ["health without a path", "health: {interval: 1s}", 'nines.yaml:1:9: expected a "path"'],
    [
      "a bad duration",
      "grace: soon",
      'nines.yaml:1:8: expected a duration such as 30s, 2m or 500ms, from 0 s to 3600 s, found "soon"',
    ],
    ["a duration out of bounds", "boot_timeout: 2h", "from 1 s to 3600 s"],
    [
      "memory without a unit",
      "memory: 256",
      "nines.yaml:1:9: expected a size of at least 16M, such as 256M or 1G, found 256",
    ],
    ["too little memory", "memory: 1M", "expected a size of at least 16M"],
    [
      "an unknown process type",
      "scale: {webb: 1}",
      'nines.yaml:1:9: unknown key "webb"; did you mean "web"?',
    ],
    ["a release that is scaled", "scale: {release: 1}", 'unknown key "release"'],
    ["too many", "scale: {web: 101}", "nines.yaml:1:14: expected a whole number from 0 to 100, found 101"],
    ["a fraction", "scale: {web: 1.5}", "expected a whole number"],
    [
      "a domain with a port",
      "domains: ['a.example:80']",
      'nines.yaml:1:11: "a.example:80" is not a domain: found a port',
    ],
    ["the platform's own domain", "domains: [x.localhost]", "every app answers at APP.localhost"],
    ["a page that is no URL", "routing: {error_page: /x}", "expected a URL"],
    ["an alias", "build: &a x\ndomains: [*a]", "expected a host name, found an alias"],
    ["a long file", "#".repeat(70_000), "longer than 65536 bytes"],
  ];
  for (const [name, text, expected] of bad)
    test(name, () => expect(() => parseManifest(text, types)).toThrow(expected));

  test("several problems are told at once, in order", () => {
    expect(() => parseManifest("zzz: 1\nmemory: x\n", types)).toThrow(/1:1.*2:9/s);
  });
});

describe("stages", () => {
  const stages = (text: string) => parseManifest(text, ["web"]).stages;
  test("names alone are those that everybody has", () => {
    const plan = stages("stages: [internal, all]");
    expect(plan?.stages.map((stage) => [stage.name, stage.audience.percent])).toEqual([
      ["internal", 0],
      ["all", 100],
    ]);
  });
  test("everything that can be said of one", () => {
    const plan = stages(`sticky: {cookie: sid}
stages:
  - name: beta
    audience: {percent: 12.5, headers: {X-Team: [red]}, cookies: {beta: "1"}, users: [anna], addresses: [10.0.0.0/8]}
    share: 25%
    bake: 90s
    min_requests: 500
    deadline: 2h
    asserts: [fast, "p99(http.latency_ms, 1m) < 50"]
    on_failure: pause
`);
    expect(plan).toEqual({
      sticky: { kind: "cookie", name: "sid" },
      stages: [
        {
          name: "beta",
          audience: {
            headers: { "x-team": ["red"] },
            cookies: { beta: ["1"] },
            users: ["anna"],
            addresses: ["10.0.0.0/8"],
            percent: 12.5,
          },
          share: 25,
          bakeMs: 90_000,
          requestsMin: 500,
          deadlineMs: 7_200_000,
          asserts: ["fast", "p99(http.latency_ms, 1m) < 50"],
          onFailure: "pause",
        },
      ],
    });
  });
  const wrong: readonly (readonly [string, string])[] = [
    ["stages: internal", "nines.yaml:1:9: expected a list"],
    ["stages: []", "nines.yaml:1:9: expected at least one stage"],
    ["stages: [betta]", "nines.yaml:1:10: expected internal, beta, all, or a stage with a name"],
    ["stages:\n  - bake: 1m", 'nines.yaml:2:5: expected a "name"'],
    ["stages:\n  - name: Beta", "nines.yaml:2:11: expected a name of small letters"],
    ["stages: [beta, beta]", 'nines.yaml:1:16: there are two stages named "beta"'],
    [
      "stages:\n  - name: beta\n    audience: {percent: 101}",
      "nines.yaml:3:25: expected a share such as 10 or 0.5",
    ],
    [
      "stages:\n  - name: beta\n    audience: {procent: 1}",
      'nines.yaml:3:16: unknown key "procent"; did you mean "percent"?',
    ],
    [
      "stages:\n  - name: beta\n    audience: {addresses: [10.0.0.0/40]}",
      "nines.yaml:3:28: expected a range",
    ],
    [
      "stages:\n  - name: beta\n    audience: {headers: [X]}",
      "nines.yaml:3:25: expected a map of the name of a header",
    ],
    ["stages:\n  - name: beta\n    on_failure: retry", "nines.yaml:3:17: expected rollback or pause"],
    ["stages:\n  - name: beta\n    bake: soon", "nines.yaml:3:11: expected a duration"],
    ["stages:\n  - name: beta\n    share: half", "nines.yaml:3:12: expected a share of the instances"],
    ["sticky: {path: x}\nstages: [all]", 'nines.yaml:1:10: unknown key "path"'],
    ["sticky: {cookie: sid}", 'nines.yaml:1:9: "sticky" goes with "stages"'],
  ];
  for (const [text, message] of wrong) {
    test(`${JSON.stringify(text)} is refused with its place`, () =>
      expect(() => stages(text)).toThrow(message));
  }
});
