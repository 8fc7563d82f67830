/**
 * nines.yaml: what an app may say about itself beside its Procfile. Every key may be missing.
 *
 *     build: npm run build          # instead of what the tree suggests
 *     build_timeout: 15m
 *     release_timeout: 10m          # of the Procfile's release phase
 *     health: /healthz              # or {path, interval: 1s, timeout: 1s, failures: 3}
 *     scale: {web: 2, worker: 1}    # the first time; later `nines scale` decides
 *     memory: 256M                  # R14 at this, R15 at twice this
 *     boot_timeout: 60s             # until PORT is bound (R10)
 *     drain_timeout: 30s            # what an outgoing instance has for its requests and sockets
 *     grace: 30s                    # from SIGTERM to SIGKILL (R12)
 *     domains: [shop.example.com]
 *     routing: {first_byte_timeout: 30s, idle_timeout: 55s, boot_wait: 75s, connect_timeout: 5s,
 *               sticky: false, retry_reads: true, error_page: URL, maintenance_page: URL}
 *     sticky: {cookie: sid}         # whose a request is, for the shares of stages; or {header: X-User}
 *     stages: [internal, beta, all] # see stages-yaml.ts
 */
import { NinesError } from "../std/errors.ts";
import { defaultHealth, type Formation, type Health, type Limits, type Routing } from "../wire/records.ts";
import type { StagePlan } from "../wire/stages.ts";
import { instancesMax } from "./formation.ts";
import { parseHost } from "./host.ts";
import { defaultBuildTimeoutMs } from "./rollout.ts";
import { readStages } from "./stages-yaml.ts";
import { type Field, openYaml, type Problems } from "./yaml.ts";

export interface Manifest {
  readonly build?: string;
  readonly buildTimeoutMs: number;
  readonly releaseTimeoutMs?: number;
  readonly health?: Health;
  readonly scale: Formation;
  readonly limits: Partial<Limits>;
  readonly domains: readonly string[];
  readonly routing?: Routing;
  readonly stages?: StagePlan;
}

export const emptyManifest: Manifest = {
  buildTimeoutMs: defaultBuildTimeoutMs,
  scale: {},
  limits: {},
  domains: [],
};

const bytesMax = 65_536;
const domainsMax = 50;
const hourMs = 3_600_000;
const timeout = { min: 1_000, max: hourMs };

/** Throws `invalid` that lists every problem with its line and column. `types` are the Procfile's. */
export function parseManifest(text: string, types: readonly string[]): Manifest {
  if (text.length > bytesMax) {
    throw new NinesError("invalid", `nines.yaml:1:1: the file is longer than ${bytesMax} bytes`);
  }
  const problems: Problems = [];
  const root = openYaml(text, problems);
  const manifest = root === undefined ? emptyManifest : readRoot(root, types);
  if (problems.length > 0) {
    const shown = problems.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, 10);
    throw new NinesError(
      "invalid",
      shown.map((one) => `nines.yaml:${one.line}:${one.column}: ${one.message}`).join("\n"),
    );
  }
  return manifest;
}

function readRoot(root: Field, types: readonly string[]): Manifest {
  const map = root.map([
    "build",
    "build_timeout",
    "release_timeout",
    "health",
    "scale",
    "memory",
    "boot_timeout",
    "drain_timeout",
    "grace",
    "domains",
    "routing",
    "stages",
    "sticky",
  ]);
  const limits = {
    bootTimeoutMs: map.boot_timeout?.duration(timeout),
    drainTimeoutMs: map.drain_timeout?.duration({ min: 0, max: hourMs }),
    graceMs: map.grace?.duration({ min: 0, max: hourMs }),
    memoryBytes: map.memory?.bytes({ min: 16 << 20, max: 2 ** 44 }),
  };
  const read = {
    build: map.build?.string("a command"),
    releaseTimeoutMs: map.release_timeout?.duration(timeout),
    health: map.health && readHealth(map.health),
    routing: map.routing && readRouting(map.routing),
    stages: map.stages && readStages(map.stages, map.sticky),
  };
  if (map.stages === undefined) map.sticky?.refuse('"sticky" goes with "stages"');
  return {
    ...known(read),
    buildTimeoutMs: map.build_timeout?.duration(timeout) ?? defaultBuildTimeoutMs,
    limits: known(limits),
    scale: map.scale === undefined ? {} : readScale(map.scale, types),
    domains: map.domains === undefined ? [] : readDomains(map.domains),
  };
}

function readHealth(field: Field): Health {
  const path = (of: Field | undefined): string | undefined =>
    of?.check("a path that starts with /, such as /healthz", (value) =>
      typeof value === "string" && /^\/[\x21-\x7e]{0,1000}$/.test(value) ? value : undefined,
    );
  if (!field.isMap) return { path: path(field) ?? "/", ...defaultHealth };
  const map = field.map(["path", "interval", "timeout", "failures"]);
  if (map.path === undefined) field.refuse('expected a "path", such as /healthz');
  return {
    path: path(map.path) ?? "/",
    intervalMs: map.interval?.duration({ min: 100, max: hourMs }) ?? defaultHealth.intervalMs,
    timeoutMs: map.timeout?.duration({ min: 50, max: 60_000 }) ?? defaultHealth.timeoutMs,
    failures: map.failures?.whole(1, 100) ?? defaultHealth.failures,
  };
}

function readScale(field: Field, types: readonly string[]): Formation {
  const scalable = types.filter((type) => type !== "release");
  const map = field.map(scalable);
  return Object.fromEntries(
    scalable.flatMap((type) => {
      const count = map[type]?.whole(0, instancesMax);
      return count === undefined ? [] : [[type, count]];
    }),
  );
}

function readDomains(field: Field): readonly string[] {
  const domains = field.list(domainsMax).map((item) => {
    const text = item.string("a host name");
    if (text === undefined) return undefined;
    try {
      return parseHost(text);
    } catch (error) {
      item.refuse((error as Error).message);
      return undefined;
    }
  });
  return [...new Set(domains.filter((domain) => domain !== undefined))];
}

function readRouting(field: Field): Routing {
  const map = field.map([
    "first_byte_timeout",
    "idle_timeout",
    "boot_wait",
    "connect_timeout",
    "sticky",
    "retry_reads",
    "error_page",
    "maintenance_page",
    "https_redirect",
    "hsts",
  ]);
  const hstsMs = map.hsts?.duration({ min: 1_000, max: 2 * 365 * 24 * hourMs });
  const wait = { min: 100, max: 24 * hourMs };
  return known({
    firstByteTimeoutMs: map.first_byte_timeout?.duration(wait),
    idleTimeoutMs: map.idle_timeout?.duration(wait),
    bootWaitMs: map.boot_wait?.duration({ min: 0, max: hourMs }),
    connectTimeoutMs: map.connect_timeout?.duration({ min: 100, max: 60_000 }),
    sticky: map.sticky?.boolean(),
    retryReads: map.retry_reads?.boolean(),
    errorPageUrl: map.error_page?.url(),
    maintenancePageUrl: map.maintenance_page?.url(),
    httpsRedirect: map.https_redirect?.boolean(),
    hstsSeconds: hstsMs === undefined ? undefined : Math.floor(hstsMs / 1_000),
  });
}

type Known<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The same without the keys that are undefined. */
function known<T extends object>(value: T): Known<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Known<T>;
}
