/**
 * What tries to get in or out, and what stops it: archives, requests, tokens, another app's things, foreign web
 * pages. The list at the end is what was tried.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { headers as names } from "../../src/wire/api.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { type Entry, pack } from "./archives.ts";

const limitMs = 120_000;
const server = `require("node:http").createServer((request, response) => {
  if (request.url === "/env") return response.end(JSON.stringify(process.env));
  response.end(JSON.stringify(request.headers));
}).listen(process.env.PORT);
`;
const tried: [what: string, stoppedBy: string][] = [];
let platform: Platform;
let token: string;
/** What the attacker's own app was given. */
let own: Record<string, string>;

beforeAll(async () => {
  platform = await startPlatform();
  token = readFileSync(platform.home.token, "utf8").trim();
  const source = platform.app("mallory", { Procfile: "web: node server.js\n", "server.js": server });
  await platform.must("apps:create", "bank");
  await platform.must("buffer:set", "bank.charges", "http://127.0.0.1:9/");
  await platform.must("deploy", source, "-a", "mallory");
  own = JSON.parse((await platform.fetch("mallory", { path: "/env" })).body) as Record<string, string>;
}, limitMs);

afterAll(async () => {
  console.log(tried.map(([what, by]) => `${what.padEnd(64)} ${by}`).join("\n"));
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
        headers: { [names.contentSha256]: createHash("sha256").update(body).digest("hex") },
        body,
      });
      if (sent.status === 400 || sent.status === 413) {
        expect(await sent.text()).toMatch(reason);
        tried.push([`upload: ${what}`, "refused before it is kept"]);
        continue;
      }
      expect(sent.status).toBe(202);
      const said = await until(`the build of ${app} has failed`, 30_000, async () => {
        const reply = (await (await ask(`/v1/apps/${app}/rollout`)).json()) as {
          rollout: { state: string; reason?: string } | null;
        };
        return reply.rollout?.state === "failed" ? JSON.stringify(reply) : undefined;
      });
      const log = (await platform.nines("logs", "-a", app)).stdout;
      expect(said + log).toMatch(reason);
      tried.push([`upload: ${what}`, "refused by the builder, which runs without rights"]);
    }
    for (const place of [platform.folder, platform.home.root, "/tmp"]) {
      expect(existsSync(join(place, "evil.txt"))).toBe(false);
    }
  },
  limitMs,
);

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
  tried.push([
    `API: ${guesses.length} guessed tokens, an app's own credential among them`,
    "401, compared in constant time",
  ]);
  expect((await ask("/v1/apps/bank/config", { token: own.NINES_API_TOKEN ?? "" })).status).toBe(401);
  tried.push([
    "API: another app's config with an app's credential",
    "401, the credential opens /v1/app/ alone",
  ]);
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
    tried.push([`app: ${what}`, "403, not shared"]);
  }
  // A topic's name cannot climb, either.
  const climbing = await ask("/v1/app/topics/..%2Fnines.instances", { token: mine, ...json({ a: "1" }) });
  expect(climbing.status).toBeGreaterThanOrEqual(400);
  tried.push(["app: a topic's name with ../", `${climbing.status}, not a name`]);
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
    tried.push([`browser: ${what}`, "403, even with the right token"]);
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
    tried.push([`router: ${what}`, status === 400 ? "400, refused" : "kept within its field"]);
  }
  const lines = platform.log("apps/mallory.log").split("\n");
  expect(lines.filter((one) => one.startsWith(mark))).toEqual([]);
  const answered = await platform.fetch("mallory", {
    headers: { Via: "x", Connection: "close, X-Forwarded-For" },
  });
  expect((JSON.parse(answered.body) as Record<string, string>)["x-forwarded-for"]).toBeDefined();
  tried.push([
    "router: Connection names X-Forwarded-For, to have it taken away",
    "it is the router's own, and stays",
  ]);
});

test("what the API is asked by name stays a name", async () => {
  for (const name of ["..%2F..%2Fetc", "%2e%2e", "a%00b", "bank%2Fconfig", "BANK"]) {
    const { status } = await ask(`/v1/apps/${name}`);
    expect([400, 404]).toContain(status);
  }
  tried.push(["API: app names with ../, null bytes, slashes", "400 or 404, not a name"]);
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
  tried.push(["files: token, secrets, the kernel's socket", "0600; never in argv"]);
});

interface Ask extends RequestInit {
  readonly token?: string;
}

function ask(path: string, { token: given = token, headers, ...init }: Ask = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${platform.apiPort}${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${given}`, ...(headers as Record<string, string>) },
  });
}

function json(value: unknown): RequestInit {
  return { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } };
}

/** Says a request by hand; 0 when the connection was closed without an answer. */
function rawStatus(port: number, line: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer to ${line}`)));
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
    socket.write(`${line}\r\n${lines.join("")}Connection: close\r\n\r\n`);
  });
}
