/** Looks into an uploaded archive for the files that say how to run it, before anything else is done with it. */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import type { ReadEntry } from "tar";
import { NinesError } from "../std/errors.ts";
import type { Manifest } from "./manifest.ts";
import { parseProcfile } from "./procfile.ts";

export interface Contents {
  readonly processes: Readonly<Record<string, string>>;
  readonly manifest: Manifest;
}

const fileBytesMax = 65_536;
const entriesMax = 200_000;
/** Unpacked; a small archive may stand for any amount of zeros. */
const unpackedBytesMax = 4 * 1024 ** 3;
/** Of an entry, with what fills its last block. */
const headerBytes = 1_024;
/** How gzip and zstd begin. */
const packed = [Buffer.from([0x1f, 0x8b]), Buffer.from([0x28, 0xb5, 0x2f, 0xfd])];
const wanted = new Set(["Procfile", "nines.yaml", "nines.yml"]);

/** Throws `invalid` for what is no archive, has no Procfile, or says what cannot be understood. */
export async function readArchive(path: string): Promise<Contents> {
  const files = await readFiles(path);
  const procfile = files.get("Procfile");
  if (procfile === undefined) {
    throw new NinesError("invalid", "there is no Procfile at the top of the source", {
      hint: "make a file named Procfile with a line such as `web: node server.js`",
    });
  }
  const processes = parseProcfile(procfile);
  const yaml = files.get("nines.yaml");
  if (yaml === undefined && files.has("nines.yml")) {
    throw new NinesError("invalid", "found nines.yml; the file is named nines.yaml");
  }
  // Loaded when first needed: both parsers weigh more than the rest of an idle controller's deploys.
  const { emptyManifest, parseManifest } = await import("./manifest.ts");
  const manifest = yaml === undefined ? emptyManifest : parseManifest(yaml, Object.keys(processes));
  return { processes, manifest };
}

async function readFiles(path: string): Promise<ReadonlyMap<string, string>> {
  const { Parser } = await import("tar");
  return new Promise((resolve, reject) => {
    const found = new Map<string, string>();
    let entries = 0;
    let bytes = 0;
    let inflated = 0;
    const source = createReadStream(path);
    // Beside the event loop, and a little at a time: the parser's own way makes 64 MiB of some uploads in one turn.
    const gunzip = createGunzip();
    const stop = () => {
      source.destroy();
      gunzip.destroy();
    };
    const refuse = (message: string, cause?: unknown) => {
      stop();
      reject(new NinesError("invalid", message, { cause }));
    };
    const parser = new Parser({
      strict: true,
      gzip: false,
      onReadEntry: (entry: ReadEntry) => {
        const name = entry.path.replace(/^(\.\/)+/, "");
        if (++entries > entriesMax) refuse(`the archive has more than ${entriesMax} files`);
        if ((bytes += entry.size ?? 0) > unpackedBytesMax) refuse("the archive holds more than 4 GiB");
        if (!wanted.has(name)) return entry.resume();
        if (entry.type !== "File" && entry.type !== "OldFile") {
          refuse(`${name} is not a file (${entry.type})`);
          return entry.resume();
        }
        if (entry.size > fileBytesMax) {
          refuse(`${name} is longer than ${fileBytesMax} bytes`);
          return entry.resume();
        }
        const parts: Buffer[] = [];
        entry.on("data", (part: Buffer) => parts.push(Buffer.from(part)));
        entry.on("end", () => found.set(name, Buffer.concat(parts).toString("utf8")));
      },
    });
    const garbled = (error: Error) =>
      refuse(`the upload is not a gzipped tar archive: ${error.message}`, error);
    parser.on("error", garbled);
    parser.on("end", () => resolve(found));
    // What stands behind the end is of no interest here; whoever unpacks the archive has a bound for it.
    parser.on("eof", () => {
      stop();
      resolve(found);
    });
    source.on("error", (error) => reject(error));
    gunzip.on("error", garbled);
    gunzip.on("data", (part: Buffer) => {
      // What is packed twice the parser would unpack by itself.
      if (inflated === 0 && packed.some((magic) => part.subarray(0, magic.length).equals(magic))) {
        return refuse("the upload is not a gzipped tar archive: it is packed twice");
      }
      inflated += part.length;
      if (inflated > unpackedBytesMax + entriesMax * headerBytes)
        return refuse("the archive holds more than 4 GiB");
      if (!parser.write(part)) {
        gunzip.pause();
        parser.once("drain", () => gunzip.resume());
      }
    });
    gunzip.on("end", () => parser.end());
    source.pipe(gunzip);
  });
}
