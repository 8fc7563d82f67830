/**
 * Unpacks an uploaded archive into a folder, and refuses what no honest one holds: paths that leave the
 * folder, links that point out of it, devices, more files or bytes than an app has any use for.
 */
import { once } from "node:events";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { type ReadEntry, Unpack } from "tar";
import { NinesError, systemCode, toError } from "../std/errors.ts";

export interface ArchiveLimits {
  readonly filesMax: number;
  readonly bytesMax: number;
}

export const defaultArchiveLimits: ArchiveLimits = { filesMax: 200_000, bytesMax: 4 * 1024 ** 3 };

const plain = new Set(["File", "OldFile", "ContiguousFile", "Directory", "GNUDumpDir"]);
const links = new Set(["SymbolicLink", "Link"]);

export interface Unpacked {
  readonly files: number;
  readonly bytes: number;
}

/** Throws `invalid` or `too_large`, saying which entry is wrong and how; the folder is then half full. */
export async function unpack(
  source: Readable,
  folder: string,
  limits: ArchiveLimits = defaultArchiveLimits,
): Promise<Unpacked> {
  const count = { files: 0, bytes: 0 };
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  let refused = false;
  const sink = new Unpack({
    cwd: folder,
    strict: true,
    preserveOwner: false,
    filter: (_, entry) => {
      count.files++;
      count.bytes += entry.size ?? 0;
      const problem = findProblem(entry as ReadEntry, count.files, count.bytes, limits);
      if (problem !== undefined) {
        refused = true;
        fail(problem);
      }
      return !refused;
    },
  });
  const closed = new Promise<void>((resolve) => sink.on("close", () => resolve()));
  sink.on("error", fail);
  let isBehind = false;
  sink.on("eof", () => {
    isBehind = true;
  });
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  try {
    // Bytes behind the end of the archive are no entry, and are counted all the same, which is all that is done with them.
    let inflated = 0;
    for await (const chunk of source.pipe(gunzip) as AsyncIterable<Buffer>) {
      inflated += chunk.length;
      if (inflated > limits.bytesMax + limits.filesMax * 1_024) throw tooManyBytes(limits);
      if (isBehind) continue;
      if (!sink.write(chunk)) await Promise.race([failed, once(sink, "drain")]);
      if (refused) await failed;
    }
    sink.end();
    await Promise.race([failed, closed]);
    return count;
  } catch (error) {
    throw error instanceof NinesError ? error : explain(error);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/** What is wrong with an entry, if anything. Pure. */
export function findProblem(
  entry: Pick<ReadEntry, "path" | "type"> & { readonly linkpath?: string },
  files: number,
  bytes: number,
  limits: ArchiveLimits,
): NinesError | undefined {
  const { path, type, linkpath = "" } = entry;
  const name = JSON.stringify(path.slice(0, 200));
  if (files > limits.filesMax) {
    return new NinesError("too_large", `the archive holds more than ${limits.filesMax} files`, {
      blame: "app",
    });
  }
  if (bytes > limits.bytesMax) return tooManyBytes(limits);
  if (isOutside(path)) return invalid(`${name} leaves the folder that it is unpacked into`);
  if (plain.has(type)) return undefined;
  if (!links.has(type)) return invalid(`${name} is a ${type}, not a file, folder or link`);
  const target = type === "Link" ? linkpath : posix.join(posix.dirname(path), linkpath);
  if (linkpath.startsWith("/") || isOutside(target)) {
    return invalid(
      `${name} is a link that points out of the app, to ${JSON.stringify(linkpath.slice(0, 200))}`,
    );
  }
  return undefined;
}

function isOutside(path: string): boolean {
  if (path.startsWith("/") || path.includes("\0") || path.includes("\\")) return true;
  const normal = posix.normalize(path);
  return path.split("/").includes("..") ? normal.startsWith("..") || normal === ".." : false;
}

function tooManyBytes(limits: ArchiveLimits): NinesError {
  const gib = Math.round((limits.bytesMax / 1024 ** 3) * 10) / 10;
  return new NinesError("too_large", `the archive holds more than ${gib} GiB`, { blame: "app" });
}

function invalid(what: string): NinesError {
  return new NinesError("invalid", `the archive is refused: ${what}`, { blame: "app" });
}

function explain(error: unknown): NinesError {
  const { message } = toError(error);
  const code = systemCode(error) ?? "";
  if (["ENOSPC", "EDQUOT"].includes(code)) {
    return new NinesError("unavailable", "the disk is full", { cause: error, blame: "platform" });
  }
  const cut = code === "Z_BUF_ERROR" || /unexpected end|truncated/i.test(message);
  return new NinesError(
    "invalid",
    cut ? "the archive is cut off before its end" : `the archive cannot be read: ${message}`,
    { cause: error, blame: "client", hint: "deploy again" },
  );
}
