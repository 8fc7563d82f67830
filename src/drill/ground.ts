/** Where a drill takes place: a platform, the drill's app on it, and the folder of what is written down. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../std/until.ts";
import type { Clocks } from "./clock.ts";
import type { Platform } from "./platform.ts";
import { look, type Scene } from "./victims.ts";

export const app = "drill";
const webAtFirst = 3;
const workers = 2;
/** Turned by the drill, and never so far that it refuses what the drill asks for. */
export const apiValve = "api.requests";
export const apiRate = 1_000;
const wholeTimeoutMs = 60_000;
/** A kernel that dies younger is started again with a pause. */
const restMs = 1_500;
const statusTimeoutMs = 1_000;

export interface Ground {
  readonly platform: Platform;
  /** Journals of the loads, the deeds. */
  readonly folder: string;
  /** One file per instance: what it did. */
  readonly ledger: string;
  /** What the platform gives the app's processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Deploys the app, as a build of this name, whose instances take so long to boot at first. */
  deploy(build: string, bootMs?: number): Promise<void>;
  scale(web: number): Promise<void>;
  readonly web: number;
  /** Wall clocks of the parts; of a platform that was started for the drill, and for that. */
  readonly clocks: Clocks | undefined;
  /** Everything there is, once it is whole, and those who were killed are replaced. */
  whole(killed?: readonly number[], deadlineMs?: number): Promise<Scene>;
  /** The same, and somebody leads, and the kernel is old enough for its heart to trust it. */
  settled(): Promise<Scene>;
}

export async function prepareGround(platform: Platform, folder: string, clocks?: Clocks): Promise<Ground> {
  const [ledger, source] = [join(folder, "ledger"), join(folder, "app")];
  for (const path of [ledger, source]) mkdirSync(path, { recursive: true });
  chmodSync(ledger, 0o1777);
  await bundle(source);
  let web = webAtFirst;
  const deploy = async (build: string, bootMs = 0) => {
    writeFileSync(join(source, "drill.json"), JSON.stringify({ ledger, build, bootMs }));
    await platform.must("deploy", source, "-a", app);
    // It boots slowly in its own deploy; later the recovery of the platform is measured, not that of the app.
    writeFileSync(join(ledger, `live-${build}`), "");
  };
  const scale = async (count: number) => {
    await platform.must("scale", `web=${count}`, `worker=${workers}`, "-a", app, "--wait");
    web = count;
  };
  await setFlag(platform, 0);
  await deploy("first");
  // A second release, so that there is one to roll back to.
  await platform.must("config:set", "DRILL=0", "-a", app);
  await scale(web);
  const ran = await platform.must(
    "run",
    "-a",
    app,
    "--no-tty",
    "--",
    "node",
    "-p",
    "JSON.stringify(process.env)",
  );
  const all = JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "{}") as Record<string, string>;
  const whole = (killed: readonly number[] = [], deadlineMs = wholeTimeoutMs) =>
    until("everything is whole", deadlineMs, () => look(platform, app, web + workers, killed), 10);
  return {
    platform,
    folder,
    ledger,
    env: Object.fromEntries(
      Object.entries(all).filter(([name]) => /^(NINES_|FLAGD_|OFREP_)/.test(name) && name !== "NINES_SPOOL"),
    ),
    deploy,
    scale,
    get web() {
      return web;
    },
    clocks,
    whole,
    settled: () =>
      until("everything is whole, and somebody leads", wholeTimeoutMs, async () => {
        if (!(await isLed(platform))) return undefined;
        const scene = await whole();
        const since = scene.parts.find((part) => part.name === "kernel")?.since;
        return Date.now() - Date.parse(since ?? "") > restMs ? scene : undefined;
      }),
  };
}

export async function setFlag(platform: Platform, value: number): Promise<void> {
  const definition = { state: "ENABLED", variants: { now: value }, defaultVariant: "now" };
  await platform.must("flags:set", "drill", JSON.stringify(definition), "--why", "a drill");
}

/** As packing is for releases: one file each, with the SDK inside. */
async function bundle(to: string): Promise<void> {
  const { oneDriver } = await import("../../scripts/pack-sdk.ts");
  const built = await Bun.build({
    entrypoints: ["web.ts", "worker.ts"].map((name) => join(import.meta.dir, "app", name)),
    target: "node",
    format: "esm",
    plugins: [oneDriver],
    outdir: to,
  });
  if (!built.success) throw new AggregateError(built.logs, "the drill's app was not bundled");
  writeFileSync(join(to, "package.json"), '{ "private": true, "type": "module" }\n');
  writeFileSync(join(to, "Procfile"), "web: node web.js\nworker: node worker.js\n");
  writeFileSync(
    join(to, "nines.yaml"),
    "health:\n  path: /healthz\n  interval: 1s\n  timeout: 1s\n  failures: 3\ndrain_timeout: 5s\ngrace: 5s\n",
  );
}

/** A change finds somebody who takes it. */
async function isLed({ home, apiPort }: Platform): Promise<boolean> {
  const reply = await fetch(`http://127.0.0.1:${apiPort}/v1/status`, {
    headers: { Authorization: `Bearer ${readFileSync(home.token, "utf8").trim()}` },
    signal: AbortSignal.timeout(statusTimeoutMs),
  });
  const status = (await reply.json()) as { leader?: string | null; staleMs?: number };
  return reply.ok && typeof status.leader === "string" && status.staleMs === 0;
}
