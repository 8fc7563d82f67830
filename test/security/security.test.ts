/**
 * What tries to get in or out, and what stops it: archives, requests, tokens, another app's things, foreign web
 * pages. The list at the end is what was tried.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { startBus } from "../../src/bus/bus.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createLog } from "../../src/std/log.ts";
import { headers as names } from "../../src/wire/api.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { short } from "../length.ts";
import { bomb, type Entry, pack } from "./archives.ts";
import { type Ask, ask as askOf, json, rawStatus } from "./asks.ts";
import { List } from "./list.ts";

const limitMs = 120_000;
const ask = (path: string, given?: Ask) => askOf(platform, path, given);
/** An app that does whatever it is told to, from the inside. */
const server = `require("node:http").createServer(async (request, response) => {
  if (request.url === "/do") {
    let code = "";
    for await (const chunk of request) code += chunk;
    try { return response.end("did it: " + String(await eval(code)).slice(0, 100)); }
    catch (error) { return response.end("refused: " + error.code); }
  }
  if (request.url === "/env") return response.end(JSON.stringify(process.env));
  response.end(JSON.stringify(request.headers));
}).listen(process.env.PORT);
`;
const tried = new List();
let platform: Platform;
let token: string;
/** What the attacker's own app was given. */
let own: Record<string, string>;

beforeAll(async () => {
  platform = await startPlatform();
  token = readFileSync(platform.home.token, "utf8").trim();
  const source = platform.app("mallory", { Procfile: "web: node server.js\n", "server.js": server });
  await platform.must(
    "deploy",
    platform.app("bank", { Procfile: "web: node server.js\n", "server.js": server }),
    "-a",
    "bank",
  );
  await platform.must("config:set", "VAULT=open-sesame", "-a", "bank");
  await platform.must("buffer:set", "bank.charges", "http://127.0.0.1:9/");
  await platform.must("deploy", source, "-a", "mallory");
  own = JSON.parse((await platform.fetch("mallory", { path: "/env" })).body) as Record<string, string>;
}, limitMs);

afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

const archives: readonly (readonly [string, readonly Entry[], RegExp])[] = [
  ["a path that climbs out", [{ path: "../evil.txt", body: "x" }], /leaves the folder/],
  ["a path that climbs out from below", [{ path: "a/../../evil.txt", body: "x" }], /leaves the folder/],
  ["an absolute path", [{ path: "/tmp/evil.txt", body: "x" }], /leaves the folder/],
  ["a backslash for a slash", [{ path: "..\\evil.txt", body: "x" }], /leaves the folder/],
  ["a link to a file outside", [{ path: "a", type: "2", link: "/etc/passwd" }], /points out of the app/],
  [
    "a link to a folder outside, and a file through it",
    [
      { path: "a", type: "2", link: "../.." },
      { path: "a/evil.txt", body: "x" },
    ],
    /points out of the app/,
  ],
  ["a hard link to a file outside", [{ path: "a", type: "1", link: "../../token" }], /points out of the app/],
  ["a device", [{ path: "a", type: "3" }], /not a file, folder or link/],
  ["a bomb: more bytes than any app has", [{ path: "a", size: 6 * 1024 ** 3 }], /more than 4 GiB/],
];

test(
  "an archive that tries to get out is refused, and nothing of it is anywhere",
  async () => {
    for (const [at, [what, entries, reason]] of archives.entries()) {
      const app = `box-${at}`;
      await platform.must("apps:create", app);
      const body = pack([{ path: "Procfile", body: "web: true\n" }, ...entries]);
      const sent = await ask(`/v1/apps/${app}/deploys`, {
        method: "POST",
        headers: toHash(body),
        body,
      });
      if (sent.status === 400 || sent.status === 413) {
        expect(await sent.text()).toMatch(reason);
        tried.add(`upload: ${what}`, "refused before it is kept");
        continue;
      }
      expect(sent.status).toBe(202);
      await failure(app, reason);
      tried.add(`upload: ${what}`, "refused by the builder, which runs without rights");
    }
    for (const place of [platform.folder, platform.home.root, "/tmp"]) {
      expect(existsSync(join(place, "evil.txt"))).toBe(false);
    }
  },
  limitMs,
);

test.skipIf(short)(
  "an archive that inflates without end, and one of entries without end, are bounded",
  async () => {
    for (const [what, body] of [
      ["a bomb: 4 MB that inflate to more than 4 GiB", bomb("bytes")],
      ["a bomb: more than 200,000 entries", bomb("entries")],
    ] as const) {
      const app = `bomb-${body.length}`;
      await platform.must("apps:create", app);
      const sent = await ask(`/v1/apps/${app}/deploys`, { method: "POST", headers: toHash(body), body });
      const isKept = sent.status === 202;
      const reason = /(holds|has) more than/;
      if (isKept) await failure(app, reason);
      else expect(await sent.text()).toMatch(reason);
      tried.add(
        `upload: ${what}`,
        isKept ? "refused by the builder, at the bound" : "refused before it is kept",
      );
    }
  },
  limitMs,
);

test("an upload under another name than its content's is refused", async () => {
  await platform.must("apps:create", "liar");
  const body = pack([{ path: "Procfile", body: "web: true\n" }]);
  const names_ = ["../../../token", "0".repeat(64), "A".repeat(64)];
  for (const name of names_) {
    const headers = { [names.contentSha256]: name };
    const { status } = await ask("/v1/apps/liar/deploys", { method: "POST", headers, body });
    expect([name, status]).toEqual([name, 400]);
  }
  tried.add("upload: a name with ../, another content's hash", "400, the hash is worked out again");
});

test("a wrong token opens nothing, whatever it resembles", async () => {
  const guesses = [
    "",
    "x",
    token.slice(0, -1),
    `${token}x`,
    token.toUpperCase() === token ? token.toLowerCase() : token.toUpperCase(),
    `${token}\u0000`.slice(0, -1).split("").toReversed().join(""),
    own.NINES_API_TOKEN ?? "",
    own.NINES_BUS_SECRET ?? "",
    ...Array.from({ length: 20 }, () => crypto.randomUUID().replaceAll("-", "")),
  ];
  for (const guess of guesses) {
    const reply = await ask("/v1/apps", { token: guess });
    expect(reply.status).toBe(401);
    expect(await reply.text()).not.toContain(token);
  }
  tried.add(
    `API: ${guesses.length} guessed tokens, an app's own credential among them`,
    "401, compared in constant time",
  );
  expect((await ask("/v1/apps/bank/config", { token: own.NINES_API_TOKEN ?? "" })).status).toBe(401);
  tried.add("API: another app's config with an app's credential", "401, the credential opens /v1/app/ alone");
});

test("an app's credential opens nothing that is another app's", async () => {
  const mine = own.NINES_API_TOKEN ?? "";
  const attempts: readonly (readonly [string, string, RequestInit])[] = [
    ["publish to another app's topic", "/v1/app/topics/orders?app=bank", json({ a: "1" })],
    ["publish to a topic of the platform", "/v1/app/topics/instances?app=nines", json({ a: "1" })],
    [
      "write to another app's target",
      "/v1/app/buffer/charges/writes?app=bank",
      { method: "POST", body: "1" },
    ],
    ["read another app's data", "/v1/app/data?app=bank", {}],
  ];
  for (const [what, path, init] of attempts) {
    const { status } = await ask(path, { token: mine, ...init });
    expect({ what, status }).toEqual({ what, status: 403 });
    tried.add(`app: ${what}`, "403, not shared");
  }
  // A topic's name cannot climb, either.
  const climbing = await ask("/v1/app/topics/..%2Fnines.instances", { token: mine, ...json({ a: "1" }) });
  expect(climbing.status).toBeGreaterThanOrEqual(400);
  tried.add("app: a topic's name with ../", `${climbing.status}, not a name`);
});

test("a viewer's token reads no secret, and changes nothing", async () => {
  const { token: viewer } = (await (
    await ask("/v1/tokens", json({ name: "eve", role: "viewer" }))
  ).json()) as { token: string };
  // Each controller learns of it by itself.
  await platform.everywhere("the token opens", "/v1/apps/bank", ({ ok }) => ok, viewer);
  const paths = ["/v1/apps/bank/config", "/v1/apps/bank/%63onfig", "/v1/apps/bank/config/", "/v1/tokens"];
  for (const path of paths) {
    const reply = await ask(path, { token: viewer });
    expect([path, reply.status === 403 || reply.status === 404]).toEqual([path, true]);
    expect(await reply.text()).not.toContain("open-sesame");
  }
  tried.add(
    "API: an app's config with a viewer's token, in other spellings too",
    "403, not a viewer's to read",
  );
  const open = [
    "/v1/apps",
    "/v1/apps/bank",
    "/v1/apps/bank/releases",
    "/v1/apps/bank/ps",
    "/v1/apps/bank/rollout",
  ];
  for (const path of open) {
    expect(await (await ask(path, { token: viewer })).text()).not.toContain("open-sesame");
  }
  tried.add("API: config values in what a viewer may read (releases, ps, rollouts)", "they are not in it");
  const changes = ["/v1/apps/bank/restart", "/v1/apps/bank/rollback", "/v1/tokens"];
  for (const path of changes) {
    expect([path, (await ask(path, { token: viewer, ...json({}) })).status]).toEqual([path, 403]);
  }
  tried.add("API: changes with a viewer's token", "403");
});

test.skipIf(process.getuid?.() !== 0)("an app's process reaches nothing that is not its own", async () => {
  const [bank] = platform.running("bank");
  const folder = readlinkSync(`/proc/${bank?.pid}/cwd`);
  const { home } = platform;
  const quoted = (path: string) => JSON.stringify(path);
  const read = (path: string) => `require("fs").readFileSync(${quoted(path)})`;
  const attempts: readonly (readonly [string, string, string])[] = [
    ["reads the admin's token", read(home.token), "file mode"],
    ["reads the platform's secret", read(home.secret), "file mode"],
    ["reads the database's password", read(home.databasePassword), "file mode"],
    [
      "reads the environment of another app's process",
      read(`/proc/${bank?.pid}/environ`),
      "a user for each app",
    ],
    ["reads another app's files", read(join(folder, "server.js")), "a user for each app"],
    [
      "writes into another app's folder",
      `require("fs").writeFileSync(${quoted(join(folder, "x"))}, "x")`,
      "a user for each app",
    ],
    ["kills another app's process", `process.kill(${bank?.pid}, "SIGKILL")`, "a user for each app"],
    [
      "speaks to the kernel's socket",
      `new Promise((y, n) => require("net").connect(${quoted(home.kernelSocket)}, y).on("error", n))`,
      "file mode",
    ],
    [
      "changes every app's flags",
      `require("fs").appendFileSync(${quoted(own.NINES_FLAGS ?? own.NINES_FLAGS_FILE ?? join(home.root, "flags/flags.json"))}, "x")`,
      "file mode",
    ],
    ["becomes root", "process.setuid(0)", "no rights"],
  ];
  for (const [what, code, by] of attempts) {
    const { body } = await platform.fetch("mallory", { method: "POST", path: "/do", body: code });
    expect([what, body]).toEqual([what, expect.stringMatching(/^refused: (EACCES|EPERM)$/)]);
    tried.add(`process: an app ${what}`, `refused, ${by}`);
  }
  expect(platform.running("bank")[0]?.pid).toBe(bank?.pid);
});

test("an app's secret opens no topic of another on the brokers themselves", async () => {
  const brokers = (own.NINES_BUS_BROKERS ?? "").split(",").map((text) => {
    const [, id = "", host = "", port] = /^([^=]+)=(.+):(\d+)$/.exec(text) ?? [];
    return { id, host, port: Number(port) };
  });
  const words = {
    secret: own.NINES_BUS_SECRET ?? "",
    sender: "mallory",
    clock: systemClock,
    random: Math.random,
  };
  const quiet = createLog({}, () => {});
  await using bus = await startBus({ brokers: async () => brokers, log: quiet, ...words });
  await bus.publish("mallory.own", { a: "1" }, { deadlineMs: 30_000 });
  for (const topic of ["bank.orders", "nines.instances"]) {
    await expect(bus.publish(topic, { a: "1" }, { deadlineMs: 3_000 })).rejects.toThrow();
  }
  let heard = 0;
  await using _hearing = bus.subscribe("bank.orders", "mallory", () => {
    heard++;
  });
  const secret = readFileSync(platform.home.secret, "utf8").trim();
  await using owner = await startBus({
    ...words,
    brokers: async () => brokers,
    log: quiet,
    secret,
    sender: "owner",
  });
  let own_ = 0;
  await using hearing = owner.subscribe("bank.orders", "owner", () => {
    own_++;
  });
  expect(await hearing.whenJoined(60_000)).toBe(true);
  await owner.publish("bank.orders", { a: "1" }, { deadlineMs: 30_000 });
  await until("the owner hears it", 60_000, () => own_ > 0);
  await Bun.sleep(300);
  expect(heard).toBe(0);
  tried.add(
    "bus: an app publishes to, and subscribes to, another's topic and the platform's",
    "E_UNAUTHORIZED by every broker",
  );
});

test("a web page from elsewhere reaches nothing, not even with a name that leads here", async () => {
  const foreign: readonly (readonly [string, Record<string, string>])[] = [
    ["a name rebound to this machine", { Host: "evil.example" }],
    ["an address as decimal number", { Host: "2130706433" }],
    ["a page of another site", { Origin: "https://evil.example" }],
    ["a form of another site", { "Sec-Fetch-Site": "cross-site" }],
    ["a sandboxed frame", { Origin: "null" }],
  ];
  for (const [what, headers] of foreign) {
    const status = await rawStatus(platform.apiPort, "GET /v1/apps HTTP/1.1", {
      Host: `127.0.0.1:${platform.apiPort}`,
      Authorization: `Bearer ${token}`,
      ...headers,
    });
    expect({ what, status }).toEqual({ what, status: 403 });
    tried.add(`browser: ${what}`, "403, even with the right token");
  }
});

test("no header and no path writes a line of its own into a log or an answer", async () => {
  const mark = "INJECTED-LINE";
  const raw: readonly (readonly [string, string, Record<string, string>])[] = [
    ["a path with encoded line ends", `GET /%0d%0a${mark} HTTP/1.1`, {}],
    ["a path with a raw line feed", `GET /a\n${mark} HTTP/1.1`, {}],
    ["a header with a raw carriage return", "GET / HTTP/1.1", { "X-A": `a\r${mark}` }],
    ["a header with a null", "GET / HTTP/1.1", { "X-A": `a\0${mark}` }],
    ["a request id that is a line of a log", "GET / HTTP/1.1", { "X-Request-Id": `1 at=error ${mark}` }],
    ["a forwarded address that is more", "GET / HTTP/1.1", { "X-Forwarded-For": `1.1.1.1" ${mark}="` }],
  ];
  for (const [what, line, headers] of raw) {
    const status = await rawStatus(platform.port, line, { Host: "mallory.localhost", ...headers });
    expect([200, 400]).toContain(status);
    tried.add(`router: ${what}`, status === 400 ? "400, refused" : "kept within its field");
  }
  const lines = platform.log("apps/mallory.log").split("\n");
  expect(lines.filter((one) => one.startsWith(mark))).toEqual([]);
  const answered = await platform.fetch("mallory", {
    headers: { Via: "x", Connection: "close, X-Forwarded-For" },
  });
  expect((JSON.parse(answered.body) as Record<string, string>)["x-forwarded-for"]).toBeDefined();
  tried.add(
    "router: Connection names X-Forwarded-For, to have it taken away",
    "it is the router's own, and stays",
  );
});

test("what the API is asked by name stays a name", async () => {
  for (const name of ["..%2F..%2Fetc", "%2e%2e", "a%00b", "bank%2Fconfig", "BANK"]) {
    const { status } = await ask(`/v1/apps/${name}`);
    expect([400, 404]).toContain(status);
  }
  tried.add("API: app names with ../, null bytes, slashes", "400 or 404, not a name");
});

test("secrets are files of their owner alone, and in no process's arguments", async () => {
  for (const path of [platform.home.token, platform.home.secret, platform.home.databasePassword]) {
    expect(statSync(path).mode & 0o077).toBe(0);
  }
  expect(statSync(platform.home.kernelSocket).mode & 0o077).toBe(0);
  const secrets = [token, readFileSync(platform.home.secret, "utf8").trim()];
  for (const { pid } of await platform.parts()) {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    for (const secret of secrets) expect(argv).not.toContain(secret);
  }
  tried.add("files: token, secrets, the kernel's socket", "0600; never in argv");
});

test("the list in docs/security.md is the one that was tried", () => {
  tried.check(join(import.meta.dir, "../../docs/security.md"));
});

function toHash(body: Buffer): Record<string, string> {
  return { [names.contentSha256]: createHash("sha256").update(body).digest("hex") };
}

/** Resolves when the build has failed, and it is said that it was for this. */
async function failure(app: string, reason: RegExp): Promise<void> {
  await until(`the build of ${app} has failed, as it ${reason}`, 60_000, async () => {
    const reply = (await (await ask(`/v1/apps/${app}/rollout`)).json()) as {
      rollout: { state: string; reason?: string } | null;
    };
    if (reply.rollout?.state !== "failed") return false;
    return reason.test(JSON.stringify(reply) + (await platform.nines("logs", "-a", app)).stdout);
  });
}
