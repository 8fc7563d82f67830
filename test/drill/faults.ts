/**
 * Faults to be found: each a build of Nines with one thing wrong in it, planted as an edit of its source, so that
 * the product itself carries no switch for being wrong.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Fault {
  readonly name: string;
  /** Kinds of steps that bring it to light. */
  readonly only: string;
  /** The verdict must name one of these promises. */
  readonly breaks: readonly string[];
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

type Edit = Fault["edits"][number];

/**
 * A disk that loses what was not synced: what a journal writes stays in the broker's own memory until fdatasync, or for
 * the five seconds after which Linux would begin to write it; SIGKILL is then to that journal what a power cut is to a
 * real one. All senders ask for acks of the level `disk`. It proves that nothing is acked, moved or deleted before the
 * call that makes it safe; not that the machine's disk and file system keep what they promise by it.
 */
const powerCuts: readonly Edit[] = [
  { file: "src/bus/bus.ts", from: 'ackLevel: options.ackLevel ?? "os"', to: 'ackLevel: "disk"' },
  {
    file: "src/bus/segment.ts",
    from: "    for (let done = 0; done < bytes.length; ) {",
    to: `    const page = { bytes: Buffer.from(bytes), at };
    this.pages.push(page);
    setTimeout(() => this.writeBack(page), 5_000).unref();
  }

  readonly pages: { bytes: Buffer; at: number }[] = [];
  writeBack(until = this.pages.at(-1)): void {
    while (until !== undefined && this.pages.includes(until)) {
      const page = this.pages.shift()!;
      if (!this.#closed) this.reallyPut(page.bytes, page.at);
    }
  }

  reallyPut(bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length; ) {`,
  },
  {
    file: "src/bus/segment.ts",
    from: "    if (this.#closed) return;\n",
    to: "    if (this.#closed) return;\n    this.writeBack();\n",
  },
  {
    file: "src/bus/segment.ts",
    from: "    fdatasyncSync(this.#file);",
    to: "    this.writeBack();\n    fdatasyncSync(this.#file);",
  },
];
const synced: Edit = {
  file: "src/bus/segment.ts",
  from: "      await datasync(this.#file);",
  to: "      this.writeBack();\n      await datasync(this.#file);",
};

/** No fault: journals on the disk that loses what was not synced, and all promises hold. */
export const powerCut: Fault = {
  name: "a power cut",
  only: "kill-workers-brokers",
  breaks: [],
  edits: [...powerCuts, synced],
};

export const faults: readonly Fault[] = [
  {
    name: "a supervisor that does not adopt",
    only: "kill-kernel,kill-agent",
    breaks: ["bystanders restarted", "not back by itself"],
    edits: [
      {
        file: "src/supervisor/adoption.ts",
        from: "  if (decision.adopt === undefined || !isAlive(decision.adopt.identity)) return undefined;",
        to: `  if (decision.adopt !== undefined) {
    await stopAll([decision.adopt.identity], options.graceMs, clock, options.stopSignal);
    return undefined;
  }
  return undefined;`,
      },
    ],
  },
  {
    name: "a router that prunes on bus loss",
    only: "away-brokers",
    breaks: ["requests failed"],
    edits: [
      {
        file: "src/mesh/table.ts",
        from: "    if (report.complete) {\n      const named",
        to: `    if (report.complete && report.instances.length > 0) {
      const table = this as unknown as { pruner?: NodeJS.Timeout };
      clearTimeout(table.pruner);
      const nothing = { ...report, seq: report.seq + 0.5, instances: [] };
      table.pruner = setTimeout(() => this.applyInstances(nothing, now), 2_500);
    }
    if (report.complete) {
      const named`,
      },
    ],
  },
  {
    name: "a relay without fencing",
    only: "flag",
    breaks: ["two relays at once"],
    edits: [
      {
        file: "sql/000007_buffer_groups.sql",
        from: `      and (t.name is null or t.expires_at <= clock_timestamp()
        or (split_part(t.holder, '/', 1) = part and t.holder <> candidate))`,
        to: "      and (t.name is null or t.holder <> candidate)",
      },
      {
        file: "sql/000007_buffer_groups.sql",
        from: `      where t.expires_at <= clock_timestamp()
        or (split_part(t.holder, '/', 1) = part and t.holder <> candidate);
  insert into nines.buffer_places`,
        to: "      where t.holder <> candidate;\n  insert into nines.buffer_places",
      },
    ],
  },
  {
    name: "a publisher that does not retry",
    only: "kill-broker,stop-broker",
    breaks: ["messages refused"],
    edits: [
      {
        file: "src/bus/publisher.ts",
        from: "    if (!this.#opens.has(open) || this.#again.has(open)) return;\n",
        to: '    if (open.hopes >= 0) return this.#reject(open, new NinesError("unavailable", "no ack"));\n',
      },
    ],
  },
  {
    name: "a deploy that stops the old instances first",
    only: "deploy-slow",
    breaks: ["requests failed"],
    edits: [
      {
        file: "src/engine/desired.ts",
        from: "      : current && all(current);",
        to: '      : state === "starting" ? undefined : current && all(current);',
      },
    ],
  },
  {
    name: "a broker that acks before it has written",
    only: "kill-workers-brokers",
    breaks: ["messages lost"],
    edits: [
      {
        file: "src/bus/topic.ts",
        from: "        this.#options.journal?.append(message);\n",
        to: "        setTimeout(() => this.#options.journal?.append(message), 1_000);\n",
      },
    ],
  },
  {
    name: "a lost fsync",
    only: powerCut.only,
    breaks: ["messages lost"],
    edits: [...powerCuts, { ...synced, to: "      await Promise.resolve();" }],
  },
];

const root = join(import.meta.dir, "../..");

export interface Build extends Disposable {
  readonly binary: string;
}

/** Says which edit does not fit the source any more; undefined when all do. */
function findProblem({ name, edits }: Fault): string | undefined {
  const lost = edits.find(
    ({ file, from }) => readFileSync(join(root, file), "utf8").split(from).length !== 2,
  );
  return lost && `${name}: ${lost.file} no longer has, once: ${lost.from}`;
}

/** A copy of this very Nines with the fault in it. Throws when the source is no longer as the edit knows it. */
export function plant(fault: Fault): Build {
  const problem = findProblem(fault);
  if (problem !== undefined) throw new Error(problem);
  const folder = mkdtempSync(join(tmpdir(), "nines-fault-"));
  for (const entry of ["bin", "src", "sql", "scripts", "package.json", "tsconfig.json"]) {
    cpSync(join(root, entry), join(folder, entry), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const { file, from, to } of fault.edits) {
    const text = readFileSync(join(folder, file), "utf8");
    const edited = text.replace(from, () => to);
    writeFileSync(join(folder, file), edited);
  }
  return {
    binary: join(folder, "bin/nines"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
