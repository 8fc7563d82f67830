import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identify } from "../os/proc.ts";
import { toHome } from "../wire/home.ts";
import { commands } from "./cli.ts";
import { toUnit } from "./commands/install.ts";
import { main } from "./main.ts";

const root = mkdtempSync(join(tmpdir(), "nines-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function nines(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  const code = await main(
    commands,
    argv,
    { NINES_HOME: join(root, "none"), HOME: root, ...env },
    {
      stdout: { write: (data) => (stdout += String(data)) },
      stderr: { write: (data) => (stderr += String(data)) },
    },
  );
  return { code, stdout, stderr };
}

describe("what is wrong with the command line costs nothing and exits 64", () => {
  const cases: [argv: string[], says: string][] = [
    [["statsu"], "did you mean nines status?"],
    [["zzzzzz"], "nines help lists them all"],
    [["deploy", "--waitt"], "did you mean --wait?"],
    [["logs"], "which app? add -a APP, or set NINES_APP"],
    [["ps", "-a", "Shop"], '"Shop" cannot be the name of an app'],
    [["scale", "web", "-a", "x"], '"web" is not a change'],
    [["config:set", "A", "-a", "x"], '"A" has no ='],
    [["config:set", "1A=2", "-a", "x"], '"1A" cannot be the name of a config value'],
    [["rollback", "vv", "-a", "x"], '"vv" is not a release'],
    [["apps:destroy", "x"], "nines apps:destroy x --confirm x"],
    [["apps:destroy", "x", "--confirm", "y"], "--confirm y does not name x"],
    [["part", "halt", "router.1"], 'not "halt"'],
    [["domains", "add", "-a", "x"], "nines domains:add needs HOST"],
    [["run", "detached"], "which app? add -a APP, or set NINES_APP"],
    [["logs", "-a", "x", "--source", "db"], "one of app, nines, router"],
    [["help", "deplyo"], "did you mean nines deploy?"],
  ];
  for (const [argv, says] of cases) {
    test(argv.join(" "), async () => {
      const { code, stdout, stderr } = await nines(argv);
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      expect(stderr).toContain(says);
    });
  }
});

describe("without a platform every command that needs one says so and exits 69", () => {
  for (const argv of [
    ["status"],
    ["ps"],
    ["apps"],
    ["config", "-a", "x"],
    ["run", "-a", "x", "ls"],
    ["part", "stop", "x"],
  ]) {
    test(argv.join(" "), async () => {
      const { code, stderr } = await nines(argv);
      expect(code).toBe(69);
      expect(stderr).toBe(
        `nines: Nines is not running in ${join(root, "none")}\n  start it with: nines up\n`,
      );
    });
  }

  test("status --json says it for programs", async () => {
    expect(await nines(["status", "--json"])).toEqual({ code: 69, stdout: '{"parts":[]}\n', stderr: "" });
  });
});

test("an environment that is not usable is refused as bad input, every problem named", async () => {
  const { code, stderr } = await nines(["status"], { NINES_PORT: "x", NINES_ROUTERS: "99" });
  expect(code).toBe(65);
  expect(stderr).toContain('NINES_PORT="x"');
  expect(stderr).toContain('NINES_ROUTERS="99"');
});

test("the token of this home is not shown to another machine", async () => {
  const { code, stderr } = await nines(["apps"], { NINES_API_URL: "http://192.0.2.1:7700" });
  expect(code).toBe(77);
  expect(stderr).toContain("NINES_TOKEN is not set");
  expect((await nines(["apps"], { NINES_API_URL: "elsewhere" })).code).toBe(65);
});

test("a folder that is no app is refused before anything is asked", async () => {
  const { code, stderr } = await nines(["deploy", root, "-a", "x"]);
  expect(code).toBe(65);
  expect(stderr).toContain("has no Procfile");
});

test("with controllers away, ps tells what the agent last wrote, and how old it is", async () => {
  const home = toHome(join(root, "away"));
  mkdirSync(home.run, { recursive: true });
  mkdirSync(join(home.root, "agent"));
  writeFileSync(home.token, "0123456789abcdef0123\n");
  writeFileSync(home.ports, JSON.stringify({ api: 1 }));
  const { startTime } = identify(process.pid) ?? { startTime: 0 };
  writeFileSync(
    home.partFile("agent"),
    JSON.stringify({ id: "agent", kind: "agent", pid: process.pid, startTime }),
  );
  const crashed = { id: "u1", app: "shop", name: "web.1", type: "web", release: 3, state: "crashed" };
  const other = { id: "u2", app: "blog", name: "web.1", type: "web", release: 1, state: "up" };
  const at = Date.now() - 12_000;
  writeFileSync(
    home.agentTable,
    JSON.stringify({ at, instances: [{ ...crashed, nextTryAt: Date.now() + 40_400 }, other] }),
  );

  const env = { NINES_HOME: home.root };
  const text = await nines(["ps", "-a", "shop"], env);
  expect(text.code).toBe(0);
  expect(text.stderr).toMatch(/^as of 1[2-4] s ago; the controllers do not answer\n$/);
  expect(text.stdout).toMatch(/web\.1 .* v3 .* crashed, next try in (40|39|38) s/);
  expect(text.stdout).not.toContain("v1");
  const json = await nines(["ps", "--json"], env);
  expect(JSON.parse(json.stdout)).toMatchObject([{ app: "shop" }, { app: "blog", state: "up" }]);

  const status = await nines(["status", "--json"], env);
  expect(JSON.parse(status.stdout).parts).toMatchObject([{ name: "agent", pid: process.pid, state: "up" }]);
});

describe("help", () => {
  test("lists every command", async () => {
    const { code, stdout } = await nines([]);
    expect(code).toBe(0);
    for (const name of Object.keys(commands)) expect(stdout).toContain(`  ${name} `);
  });

  for (const name of Object.keys(commands)) {
    test(`of ${name} fits a terminal and names its flags`, async () => {
      const { code, stdout } = await nines([name, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toStartWith(`nines ${name}`);
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
      expect(stdout).toContain("-h, --help");
    });
  }
});

test("the unit restarts always, ends the guard alone, and carries the home and the ports", () => {
  const env = { NINES_PORT: "80", PATH: "/usr/bin", SECRET: "x" };
  const unit = toUnit({ program: "/opt/my nines/bin/nines", home: '/srv/a"b%', env, user: false, as: "ops" });
  expect(unit).toContain('ExecStart="/opt/my nines/bin/nines" up\n');
  expect(unit).toContain('Environment="NINES_HOME=/srv/a\\"b%%"\n');
  expect(unit).toContain("Environment=NINES_PORT=80\n");
  expect(unit).toContain("Restart=always\n");
  expect(unit).toContain("KillMode=process\n");
  expect(unit).toContain("User=ops\n");
  expect(unit).not.toContain("SECRET");
});
