/** Looks into an uploaded archive for the files that say how to run it, before anything else is done with it. */
import { createReadStream } from "node:fs";
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
    const source = createReadStream(path);
    const refuse = (message: string, cause?: unknown) => {
      source.destroy();
      reject(new NinesError("invalid", message, { cause }));
    };
    const parser = new Parser({
      strict: true,
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
    parser.on("error", (error: Error) =>
      refuse(`the upload is not a gzipped tar archive: ${error.message}`, error),
    );
    parser.on("end", () => resolve(found));
    source.on("error", (error) => reject(error));
    source.on("data", (part) => {
      if (!parser.write(part as Buffer)) {
        source.pause();
        parser.once("drain", () => source.resume());
      }
    });
    source.on("end", () => parser.end());
  });
}
