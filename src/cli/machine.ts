/** What `nines doctor` says about the machine: its limits, its kernel's settings, who runs this. */
import { readFileSync } from "node:fs";
import type { Finding, Wanted } from "./finding.ts";
import { toBytes } from "./progress.ts";

const openFilesAdvised = 65_536;
const openFilesNeeded = 1_024;
const memoryAdvisedBytes = 512e6;

export function memory(): Finding {
  const available = Number(/MemAvailable:\s+(\d+)/.exec(read("/proc/meminfo"))?.[1] ?? 0) * 1_024;
  const found = `${toBytes(available)} available`;
  return available >= memoryAdvisedBytes
    ? { level: "ok", what: "memory", found }
    : {
        level: "advice",
        what: "memory",
        found,
        advice: "the platform itself takes about 300 MB; apps come on top",
      };
}

export function openFiles(): Finding {
  const [soft = 0, hard = 0] = (/Max open files\s+(\S+)\s+(\S+)/.exec(read("/proc/self/limits")) ?? [])
    .slice(1)
    .map((text) => (text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text)));
  const found = `${soft} (hard limit ${hard})`;
  const advice = `ulimit -n ${openFilesAdvised} before nines up; the unit of nines install sets it`;
  if (soft < openFilesNeeded) return { level: "problem", what: "open files", found, advice };
  return soft < openFilesAdvised
    ? {
        level: "advice",
        what: "open files",
        found,
        advice: `a router needs two for each connection: ${advice}`,
      }
    : { level: "ok", what: "open files", found };
}

/** Outgoing connections take ports of that range: one of them could be the PORT of an instance. */
export function ephemeralPorts({ instancePorts }: Wanted): Finding {
  const what = "ports of instances";
  const [low = 0, high = 0] = read("/proc/sys/net/ipv4/ip_local_port_range").trim().split(/\s+/).map(Number);
  const { from, to } = instancePorts;
  return from <= high && to >= low
    ? {
        level: "advice",
        what,
        found: `${from}-${to} overlaps the kernel's own range ${low}-${high}`,
        advice: "set NINES_INSTANCE_PORTS below it, as 20000-29999",
      }
    : { level: "ok", what, found: `${from}-${to}` };
}

export function migration(): Finding {
  const what = "net.ipv4.tcp_migrate_req";
  const value = read(`/proc/sys/${what.replaceAll(".", "/")}`).trim();
  if (value === "1") return { level: "ok", what, found: "1" };
  if (value === "")
    return { level: "advice", what, found: "not there", advice: "Linux 5.14 and newer have it" };
  return {
    level: "advice",
    what,
    found: value,
    advice: `sysctl -w ${what}=1: connections that wait at a killed router move to the other one`,
  };
}

export function user({ databaseUrl }: Wanted): Finding {
  if (process.getuid?.() !== 0) {
    return {
      level: "advice",
      what: "user",
      found: "not root",
      advice:
        "apps run as this user, so they can read each other's files; as root each gets a user of its own",
    };
  }
  const found =
    databaseUrl === undefined
      ? "root; apps and PostgreSQL run as users without rights"
      : "root; apps run as users without rights";
  return { level: "ok", what: "user", found };
}

export function clock(): Finding {
  const year = new Date().getFullYear();
  return year >= 2025
    ? { level: "ok", what: "clock", found: new Date().toISOString() }
    : {
        level: "problem",
        what: "clock",
        found: `the year ${year}`,
        advice: "set the clock: logs and releases carry it",
      };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
