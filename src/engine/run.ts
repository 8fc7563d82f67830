/**
 * One run of an instance: its process, its working directory, its output and its state on disk, from the
 * spawn to the last trace. Acts only; when to do what is life.ts's matter.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import type { Identity } from "../os/proc.ts";
import type { Clock } from "../std/clock.ts";
import { type Census, type Member, signalAll } from "./census.ts";
import type { Place } from "./desired.ts";
import { type Surroundings, toInstanceEnv } from "./environment.ts";
import type { Journals } from "./journal.ts";
import { give, type Owner, toOwner } from "./owner.ts";
import { type Process, spawnProcess, type Watch } from "./process.ts";
import { toShell } from "./shell.ts";
import type { Spools } from "./spools.ts";
import { forgetRun, type RunFiles, type RunState, toRunFiles, writeRun } from "./state.ts";
import { Tail } from "./tail.ts";
import type { Directory, Workspaces } from "./workspace.ts";

/** Passes over what a run left behind before it is given up. */
const sweepsMax = 100;
/** Between two looks at what is left of a run. */
const lookMs = 20;

/** A census this old will do for a signal: the process group gets it in any case. */
const signalCensusMs = 100;

/** What runs share on this machine. */
export interface Tools {
  readonly clock: Clock;
  readonly random: () => number;
  readonly census: Census;
  readonly watch: Watch;
  readonly workspaces: Workspaces;
  readonly journals: Journals;
  readonly surroundings: Surroundings;
  readonly spools: Spools;
  /** Where the folders of runs are. */
  readonly runs: string;
  /** Whether apps get users of their own. */
  readonly root: boolean;
}

export class Run {
  readonly id: string;
  readonly port: number;
  readonly place: Place;
  readonly process: Process;
  readonly files: RunFiles;
  /** Aborted when its process has ended: whoever watches it stops. */
  readonly ended = new AbortController();
  readonly #directory: string;
  readonly #tools: Tools;
  readonly #tail: Tail | undefined;

  private constructor(
    tools: Tools,
    place: Place,
    directory: Directory,
    port: number,
    process: Process,
    tail: Tail | undefined,
  ) {
    this.#tools = tools;
    this.place = place;
    this.id = directory.id;
    this.#directory = directory.path;
    this.port = port;
    this.process = process;
    this.files = toRunFiles(tools.runs, directory.id);
    this.#tail = tail;
    tools.census.claim(process.identity, directory.id);
  }

  /** Starts the place's command in the directory. `remember` is called before and after, with what is known. */
  static spawn(
    tools: Tools,
    place: Place,
    directory: Directory,
    port: number,
    remember: (identity: Identity | undefined) => void,
  ): Run {
    const owner = toOwner(place.appNumber, tools.root);
    const files = toRunFiles(tools.runs, directory.id);
    mkdirSync(files.folder, { recursive: true, mode: 0o700 });
    remember(undefined);
    const output = openSync(files.output, "a", 0o600);
    try {
      // Its owner's, as a program that opens /dev/stdout anew needs the right to.
      give(files.output, owner, 0o600);
      const process = spawnProcess({
        argv: toShell(place.command),
        cwd: directory.path,
        env: toInstanceEnv(place, tools.surroundings, {
          id: directory.id,
          directory: directory.path,
          port,
          spool: tools.spools.open(place.appNumber, owner),
        }),
        owner,
        output,
      });
      remember(process.identity);
      return new Run(tools, place, directory, port, process, openTail(tools, place, files));
    } finally {
      closeSync(output);
    }
  }

  /** Goes on with what a former agent started; `identity` may be dead already, which is then noticed. */
  static adopt(tools: Tools, state: RunState, identity: Identity): Run {
    const { place, instance } = state;
    const files = toRunFiles(tools.runs, instance.id);
    const directory = { id: instance.id, path: state.directory };
    const tail = openTail(tools, place, files);
    return new Run(tools, place, directory, instance.port, tools.watch.adopt(identity), tail);
  }

  get owner(): Owner | undefined {
    return toOwner(this.place.appNumber, this.#tools.root);
  }

  get directory(): string {
    return this.#directory;
  }

  remember(state: RunState): void {
    writeRun(this.files, state);
  }

  /** All its living processes, also those that left its process group. */
  members(notBefore?: number): readonly Member[] {
    return this.#tools.census.members(this.id, this.owner?.uid, notBefore);
  }

  signal(name: NodeJS.Signals): void {
    const { pid } = this.process.identity;
    const asked = this.#tools.clock.now();
    const reached = this.process.signal(name);
    signalAll(
      this.members(asked - signalCensusMs).filter((member) => !reached || member.pgid !== pid),
      name,
    );
  }

  /** Takes the lines that it has written since. */
  readOutput(): void {
    this.#tail?.look();
  }

  /** Resolves when none of its processes is left, or nobody looks any more. */
  async emptied(): Promise<void> {
    while ((await this.#look()).length > 0 && !this.ended.signal.aborted) {
      await this.#tools.clock.sleep(lookMs);
    }
  }

  /** After its end: kills what it left, takes its last lines, removes its directory. Its state stays. */
  async sweep(): Promise<void> {
    for (let swept = 0; swept < sweepsMax; swept++) {
      const members = await this.#look();
      if (members.length === 0) break;
      signalAll(members, "SIGKILL");
    }
    this.#tail?.finish();
    this.#tail?.[Symbol.dispose]();
    await this.#tools.workspaces.remove(this.#directory);
  }

  /** Its processes a moment from now: whoever asks within that moment shares one census. */
  async #look(): Promise<readonly Member[]> {
    const { clock } = this.#tools;
    const asked = clock.now();
    await clock.sleep(lookMs);
    return this.members(asked);
  }

  /** Removes its state: nothing of it will be known. */
  forget(): void {
    forgetRun(this.files);
  }

  /** Stops following; the process lives on. */
  leave(): void {
    this.ended.abort();
    this.#tail?.[Symbol.dispose]();
  }
}

function openTail(tools: Tools, place: Place, files: RunFiles): Tail | undefined {
  const { app, name } = place;
  const sink = {
    lines: (lines: readonly string[]) => tools.journals.app(app, name, lines),
    lost: (what: string) => tools.journals.nines(app, name, `Error L12 (Local buffer overflow) -> ${what}`),
  };
  try {
    return new Tail(files.output, files.mark, sink);
  } catch {
    // Somebody took the file away. The instance matters more than its lines.
    return undefined;
  }
}
