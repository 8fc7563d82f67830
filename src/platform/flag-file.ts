/**
 * The flags as a file that instances read: the whole answer for when nothing else runs. A fresh one is renamed into
 * place at each change. It is flagd's own format, so that flagd's providers read it as it is.
 */
import type { Replica } from "../registry/registry.ts";
import { readJson } from "../std/file.ts";
import type { Log } from "../std/log.ts";
import { flagFileVersion } from "../wire/flags.ts";
import type { FlagView } from "./flag-view.ts";
import { OfferedFile } from "./offered-file.ts";

export class FlagFile implements Disposable {
  readonly #view: FlagView;
  readonly #replica: Replica;
  readonly #file: OfferedFile;
  readonly #changes: Disposable;
  /** Of the file that lies there, from us or from an agent before us. */
  #version: number;

  constructor(view: FlagView, replica: Replica, path: string, log: Log) {
    this.#view = view;
    this.#replica = replica;
    this.#file = new OfferedFile(path, log, "flags_not_written");
    const stored = readJson(path);
    this.#version = stored.kind === "value" ? flagFileVersion(stored.value) : 0;
    this.#changes = view.onChange(() => this.write());
    this.write();
  }

  /** Writes what has changed; tried again with each turn until it succeeds. */
  write(): void {
    if (!this.#view.known) return;
    const { version, document } = this.#view.set;
    // The copy on disk that we have started from may be older than the file.
    if (version < this.#version && this.#replica.state.kind !== "live") return;
    if (this.#file.write(`${JSON.stringify({ ...document, $nines: { version } })}\n`))
      this.#version = version;
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
  }
}
