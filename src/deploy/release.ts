/** What the next release is; pure. A release is a build plus config, and is never changed. */
import { NinesError } from "../std/errors.ts";
import { defaultLimits, type Release } from "../wire/records.ts";
import type { Manifest } from "./manifest.ts";

/** What every release says of itself. */
export interface Signature {
  readonly app: string;
  readonly version: number;
  readonly at: string;
  readonly by: string;
}

export type ConfigChanges = Readonly<Record<string, string | null>>;

export interface Source {
  readonly build: string;
  readonly processes: Readonly<Record<string, string>>;
  readonly manifest: Manifest;
  /** "Deploy 3f9a12c" */
  readonly description: string;
}

const configBytesMax = 65_536;
const variable = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** A new build with the config that is there. */
export function toDeployRelease(base: Release | undefined, source: Source, signature: Signature): Release {
  const { manifest } = source;
  return {
    ...sign(signature),
    build: source.build,
    config: base?.config ?? {},
    processes: source.processes,
    ...(manifest.health === undefined ? {} : { health: manifest.health }),
    limits: { ...defaultLimits, ...manifest.limits },
    ...(manifest.routing === undefined ? {} : { routing: manifest.routing }),
    ...(manifest.releaseTimeoutMs === undefined ? {} : { releaseTimeoutMs: manifest.releaseTimeoutMs }),
    description: source.description,
  };
}

/** The same build with other config; undefined when nothing would change. Throws `invalid`. */
export function toConfigRelease(
  base: Release | undefined,
  changes: ConfigChanges,
  signature: Signature,
): Release | undefined {
  const config: Record<string, string> = { ...base?.config };
  const set: string[] = [];
  const removed: string[] = [];
  for (const [name, value] of Object.entries(changes)) {
    checkVariable(name, value);
    const had = Object.hasOwn(config, name) ? config[name] : undefined;
    if (value === null && had !== undefined) {
      removed.push(name);
      delete config[name];
    } else if (value !== null && had !== value) {
      set.push(name);
      config[name] = value;
    }
  }
  if (set.length + removed.length === 0) return undefined;
  const bytes = Buffer.byteLength(JSON.stringify(config));
  if (bytes > configBytesMax) {
    throw new NinesError("too_large", `the config would have ${bytes} bytes, its limit is ${configBytesMax}`);
  }
  const empty = { build: "", processes: {}, limits: defaultLimits };
  return { ...(base ?? empty), ...sign(signature), config, description: describeConfig(set, removed) };
}

/** Build and config of an older release, as a new one. */
export function toRollbackRelease(old: Release, signature: Signature): Release {
  return { ...old, ...sign(signature), description: `Rollback to v${old.version}` };
}

function sign(signature: Signature) {
  return {
    app: signature.app,
    version: signature.version,
    createdAt: signature.at,
    by: signature.by,
  };
}

function describeConfig(set: readonly string[], removed: readonly string[]): string {
  const shown = (names: readonly string[]) =>
    names.length <= 10 ? names.join(", ") : `${names.slice(0, 10).join(", ")} and ${names.length - 10} more`;
  const vars = (names: readonly string[]) => `config var${names.length === 1 ? "" : "s"}`;
  const parts = [
    ...(set.length > 0 ? [`Set ${shown(set)} ${vars(set)}`] : []),
    ...(removed.length > 0 ? [`Remove ${shown(removed)} ${vars(removed)}`] : []),
  ];
  return parts.join("; ");
}

function checkVariable(name: string, value: string | null): void {
  if (!variable.test(name)) {
    throw new NinesError("invalid", `"${name.slice(0, 60)}" is not a name for a config var`, {
      hint: "letters, digits and _ after a letter or _, at most 128, as in DATABASE_URL",
    });
  }
  if (name === "PORT" || name === "DYNO" || name.startsWith("NINES_")) {
    throw new NinesError("invalid", `${name} is set by the platform for each instance`);
  }
  if (value?.includes("\0")) throw new NinesError("invalid", `the value of ${name} has a NUL byte`);
}
