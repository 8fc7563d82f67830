/** The peers of the drill: the same app, run as each of them has it run in production, and ways to hit its parts. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { startPlatform } from "../src/drill/platform.ts";

export interface Peer extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** What takes the connections. */
  front(): Promise<readonly number[]>;
  /** What starts instances again; none when it is the machine's own pid 1. */
  supervisor(): Promise<readonly number[]>;
  restart(): Promise<void>;
  deploy(build: string): Promise<void>;
}

export interface PeerKind {
  readonly name: string;
  /** Undefined when it is not here; then what would bring it. */
  version(): string | undefined;
  readonly install: string;
  start(folder: string): Promise<Peer>;
}

export const instances = 3;
const path = `${process.env.PATH}:/usr/sbin:/sbin`;

/** The app in a folder of its own. */
function writeSource(folder: string): { readonly source: string; setBuild(build: string): void } {
  const source = join(folder, "app");
  mkdirSync(source, { recursive: true });
  chmodSync(folder, 0o1777);
  copyFileSync(join(import.meta.dir, "drill-app.cjs"), join(source, "drill-app.cjs"));
  writeFileSync(join(source, "drill.json"), JSON.stringify({ folder }));
  writeFileSync(join(source, "Procfile"), "web: node drill-app.cjs\n");
  writeFileSync(
    join(source, "nines.yaml"),
    "health:\n  path: /healthz\n  interval: 1s\n  timeout: 1s\n  failures: 3\n",
  );
  const setBuild = (build: string) => writeFileSync(join(source, "build"), `${build}\n`);
  setBuild("first");
  return { source, setBuild };
}

const nines: PeerKind = {
  name: "Nines",
  version: () =>
    (JSON.parse(readFileSync(join(import.meta.dir, "../package.json"), "utf8")) as { version: string })
      .version,
  install: "npm ci",
  async start(folder) {
    const { source, setBuild } = writeSource(folder);
    const platform = await startPlatform({ guard: true, prefix: "nines-peer-" });
    const pids = async (kind: string) =>
      (await platform.parts()).filter((part) => part.kind === kind).map((part) => part.pid ?? 0);
    await platform.must("deploy", source, "-a", "drill");
    await platform.must("scale", `web=${instances}`, "-a", "drill", "--wait");
    return {
      name: "Nines",
      port: platform.port,
      front: () => pids("router"),
      supervisor: async () => [...(await pids("agent")), ...(await pids("kernel"))],
      async restart() {
        await platform.must("restart", "-a", "drill");
      },
      async deploy(build) {
        setBuild(build);
        await platform.must("deploy", source, "-a", "drill");
      },
      [Symbol.asyncDispose]: async () => await platform[Symbol.asyncDispose](),
    };
  },
};

/** Cluster mode; above it a unit as `pm2 startup` writes one: the daemon is brought back with `pm2 resurrect`. */
const pm2: PeerKind = {
  name: "pm2 (cluster mode)",
  version: pm2Version,
  install: "npm install --prefix /tmp/nines-peers pm2",
  async start(folder) {
    const { source, setBuild } = writeSource(folder);
    const port = await freePort();
    const home = join(folder, "pm2");
    const env = { ...process.env, PM2_HOME: home } as Record<string, string>;
    const run = async (...args: readonly string[]) => {
      const child = Bun.spawn([pm2Binary(), ...args], { env, cwd: source, stdout: "ignore", stderr: "pipe" });
      const [said, code] = [await new Response(child.stderr).text(), await child.exited];
      if (code !== 0) throw new Error(`pm2 ${args.join(" ")}: ${said}`);
    };
    const app = {
      ...{ name: "drill", script: "drill-app.cjs", exec_mode: "cluster", instances, cwd: source },
      ...{ wait_ready: true, listen_timeout: 10_000, kill_timeout: 10_000, env: { PORT: String(port) } },
    };
    writeFileSync(
      join(source, "ecosystem.config.cjs"),
      `module.exports = { apps: [${JSON.stringify(app)}] };\n`,
    );
    await run("start", "ecosystem.config.cjs");
    await run("save");
    const daemon = () => Number(readFileSync(join(home, "pm2.pid"), "utf8"));
    let isOver = false;
    const unit = (async () => {
      while (!isOver) {
        await Bun.sleep(100);
        if (isOver || isAlive(daemon())) continue;
        for (const pid of pidFiles(join(home, "pids"))) kill(pid);
        await run("resurrect").catch(() => {});
      }
    })();
    return {
      name: "pm2",
      port,
      front: async () => [daemon()],
      supervisor: async () => [daemon()],
      restart: () => run("reload", "drill"),
      async deploy(build) {
        setBuild(build);
        await run("reload", "drill");
      },
      async [Symbol.asyncDispose]() {
        isOver = true;
        await unit;
        await run("kill");
      },
    };
  },
};

/** nginx as packaged, in front of three units with Restart=always; deploys restart one unit after another. */
const nginx: PeerKind = {
  name: "nginx + systemd-like restarts",
  version: () => read(["nginx", "-v"], /nginx\/(\S+)/),
  install: "apt-get install nginx-light",
  async start(folder) {
    const { source, setBuild } = writeSource(folder);
    const [port, ...ports] = await Promise.all(Array.from({ length: instances + 1 }, freePort));
    const conf = join(folder, "nginx.conf");
    const at = (name: string) => join(folder, name);
    // With its default of one failure nginx takes a server that was restarted for dead for ten seconds, in the end all three.
    const servers = ports.map((one) => `server 127.0.0.1:${one} max_fails=0;`).join(" ");
    const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (one) => `${one}_temp_path ${at(one)};`,
    );
    writeFileSync(
      conf,
      `daemon off; pid ${at("nginx.pid")}; error_log ${at("nginx.log")}; worker_processes 2; user ${process.getuid?.() === 0 ? "root" : "nobody"};
events { worker_connections 4096; }
http { access_log off; ${places.join(" ")}
  upstream app { ${servers} keepalive 64; }
  server { listen 127.0.0.1:${port} reuseport;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } } }
`,
    );
    const units = [
      { name: "nginx", command: [Bun.which("nginx", { PATH: path }), "-c", conf] },
      ...ports.map((one, index) => ({
        ...{ name: `web.${index + 1}`, command: ["node", join(source, "drill-app.cjs")] },
        env: { PORT: String(one) },
      })),
    ];
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "drill-supervisor.ts"), JSON.stringify(units)],
      {
        ...{ stdin: "pipe" as const, stdout: "pipe" as const, stderr: "inherit" as const },
      },
    );
    let known: Record<string, number> = {};
    const lines = createInterface({ input: Readable.fromWeb(child.stdout as never) });
    lines.on("line", (line) => {
      known = JSON.parse(line) as Record<string, number>;
    });
    const restart = async () => {
      for (const [index, own] of ports.entries()) {
        const before = known[`web.${index + 1}`];
        child.stdin.write(`restart web.${index + 1}\n`);
        child.stdin.flush();
        while (known[`web.${index + 1}`] === before || !(await answers(own ?? 0))) await Bun.sleep(10);
      }
    };
    return {
      name: "nginx",
      port: port ?? 0,
      // Its workers; the master starts them again.
      front: async () =>
        spawnSync("pgrep", ["-P", String(known.nginx)])
          .stdout.toString()
          .trim()
          .split("\n")
          .map(Number)
          .slice(0, 1),
      supervisor: async () => [],
      restart,
      async deploy(build) {
        setBuild(build);
        await restart();
      },
      async [Symbol.asyncDispose]() {
        child.stdin.end();
        await child.exited;
      },
    };
  },
};

export const peers: readonly PeerKind[] = [nines, nginx, pm2];

function pm2Binary(): string {
  return Bun.which("pm2") ?? "/tmp/nines-peers/node_modules/.bin/pm2";
}

/** Asked by its own command it would start a daemon. */
function pm2Version(): string | undefined {
  try {
    const path = join(dirname(realpathSync(pm2Binary())), "../package.json");
    return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
  } catch {
    return undefined;
  }
}

function read(command: readonly string[], pattern: RegExp): string | undefined {
  const [program = "", ...args] = command;
  const { stdout, stderr } = spawnSync(program, args, {
    env: { ...process.env, PATH: path },
  });
  return pattern.exec(`${stdout ?? ""}${stderr ?? ""}`.trim())?.[1];
}

function pidFiles(folder: string): number[] {
  return readdirSync(folder).map((name) => Number(readFileSync(join(folder, name), "utf8")));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It went with the daemon.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/healthz`).then(
    (reply) => reply.ok,
    () => false,
  );
}
