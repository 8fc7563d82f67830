/**
 * Real programs that no one here wrote, deployed as they are and used through the routers by their own
 * clients: a package registry (verdaccio) with npm, a WSGI app of Debian's werkzeug under Debian's gunicorn,
 * a WebSocket server (PeerJS) with the `ws` package. Needs the npm registry.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeApp } from "../apps.ts";
import { type Platform, type Ran, startPlatform } from "../harness.ts";

const limitMs = 240_000;
const here = import.meta.dir;
let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
}, limitMs);

afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test(
  "verdaccio: npm publishes a package through it and installs it again",
  async () => {
    const source = await withLockfile("registry");
    await platform.must("deploy", source, "-a", "registry");
    const url = `http://registry.localhost:${platform.port}/`;
    const login = await platform.fetch("registry", {
      method: "PUT",
      path: "/-/user/org.couchdb.user:ann",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: "ann", password: "secret-enough" }),
    });
    expect(login.status).toBe(201);
    const { token } = JSON.parse(login.body) as { token: string };

    const parcel = writeApp(join(platform.folder, "parcel"), {
      "package.json": JSON.stringify({ name: "parcel-of-nines", version: "1.2.3", main: "index.js" }),
      "index.js": `module.exports = ${JSON.stringify("payload ".repeat(200_000))};\n`,
      ".npmrc": `registry=${url}\n//registry.localhost:${platform.port}/:_authToken=${token}\n`,
    });
    expect(await npm(parcel, "publish")).toMatchObject({ code: 0 });

    const user = writeApp(join(platform.folder, "user"), {
      "package.json": JSON.stringify({ name: "user", private: true }),
      ".npmrc": `registry=${url}\n`,
    });
    expect(await npm(user, "install", "parcel-of-nines@1.2.3")).toMatchObject({ code: 0 });
    const installed = join("node_modules", "parcel-of-nines", "index.js");
    expect(readFileSync(join(user, installed), "utf8")).toBe(readFileSync(join(parcel, "index.js"), "utf8"));
  },
  limitMs,
);

test.skipIf(!hasGunicorn())(
  "werkzeug's test app under gunicorn answers through two instances",
  async () => {
    const source = join(platform.folder, "wsgi");
    cpSync(join(here, "wsgi"), source, { recursive: true });
    await platform.must("deploy", source, "-a", "wsgi");
    await platform.must("scale", "web=2", "-a", "wsgi", "--wait");
    for (let i = 0; i < 10; i++) {
      const reply = await platform.fetch("wsgi", { path: `/page-${i}?a=1` });
      expect(reply.status).toBe(200);
      expect(reply.body).toContain("WSGI Information");
      expect(reply.body).toContain(`page-${i}`);
      expect(reply.body).toContain("HTTP_X_FORWARDED_FOR");
    }
  },
  limitMs,
);

test(
  "PeerJS: the ws client connects, is heard by the other, and gets its pong",
  async () => {
    const source = await withLockfile("peers");
    await platform.must("deploy", source, "-a", "peers");
    const ran = spawnSync("node", [join(here, "ws-client.cjs"), String(platform.port), "peers.localhost"], {
      encoding: "utf8",
    });
    expect(ran.stderr).toBe("");
    expect(JSON.parse(ran.stdout)).toEqual({ whole: true, ponged: true });
  },
  limitMs,
);

/** A copy of the wrapper with the lockfile that npm makes for it, as its author would have committed it. */
async function withLockfile(name: string): Promise<string> {
  const source = join(platform.folder, name);
  cpSync(join(here, name), source, { recursive: true });
  const made = await npm(source, "install", "--package-lock-only", "--ignore-scripts");
  if (made.code !== 0) throw new Error(`npm has no lockfile for ${name}:\n${made.stderr}`);
  return source;
}

async function npm(
  cwd: string,
  ...args: readonly string[]
): Promise<Pick<Ran, "code" | "stdout" | "stderr">> {
  mkdirSync(cwd, { recursive: true });
  const child = Bun.spawn(["npm", ...args, "--no-audit", "--no-fund"], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: `--require ${join(here, "localhost.cjs")}` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

function hasGunicorn(): boolean {
  const found =
    existsSync("/usr/bin/python3") &&
    spawnSync("/usr/bin/python3", ["-c", "import gunicorn, werkzeug"]).status === 0;
  if (!found) console.error("skipped: the WSGI program needs apt-get install gunicorn python3-werkzeug");
  return found;
}
