/** The routers' certificates: read from the home, and again whenever their files change. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Certificate } from "../mesh/mesh.ts";
import { systemCode, toError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";
import { toCertHost } from "../wire/certs.ts";

const lookIntervalMs = 1_000;
/** Hosts with a certificate of their own. */
const certificateCount = 10_000;

/** Calls back with all of them now, and after each change. */
export function watchCertificates(
  folder: string,
  log: Log,
  onChange: (certificates: ReadonlyMap<string, Certificate>) => void,
): Disposable {
  let seen = "";
  const look = () => {
    try {
      const names = listNames(folder);
      const stamp = names.map((name) => `${name} ${toStamp(join(folder, name))}`).join("\n");
      if (stamp === seen) return;
      onChange(read(folder, names, log));
      seen = stamp;
    } catch (error) {
      log.warn("certificates_not_read", { message: toError(error).message });
    }
  };
  look();
  const timer = setInterval(look, lookIntervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Names for which both files are there. */
function listNames(folder: string): string[] {
  try {
    const files = new Set(readdirSync(folder));
    const names = [...files].flatMap((file) => (file.endsWith(".crt") ? [file.slice(0, -4)] : []));
    return names
      .filter((name) => files.has(`${name}.key`))
      .sort()
      .slice(0, certificateCount);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

function toStamp(path: string): string {
  return ["crt", "key"]
    .map((kind) => statSync(`${path}.${kind}`))
    .map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`)
    .join(" ");
}

function read(folder: string, names: readonly string[], log: Log): Map<string, Certificate> {
  const certificates = new Map<string, Certificate>();
  for (const name of names) {
    try {
      const [cert, key] = ["crt", "key"].map((kind) => readFileSync(join(folder, `${name}.${kind}`), "utf8"));
      certificates.set(toCertHost(name), { cert: cert ?? "", key: key ?? "" });
    } catch (error) {
      log.warn("certificate_not_read", { host: toCertHost(name), message: toError(error).message });
    }
  }
  return certificates;
}
