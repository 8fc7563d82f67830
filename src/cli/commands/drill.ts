/** `nines drill`: everything killed under load, and a verdict. */
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import { NinesError, systemCode } from "../../std/errors.ts";
import type { AppsReply } from "../../wire/api.ts";
import type { Client } from "../client.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";
import { exitCodes } from "../exit.ts";
import { suggest, UsageError } from "../usage.ts";

const minutesAtFirst = 10;

export const drill = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    minutes: { kind: "number", value: "N", summary: "how long; 10 by default", min: 1, max: 1_440 },
    seed: {
      kind: "number",
      value: "N",
      summary: "the same seed, the same schedule",
      min: 0,
      max: 4_294_967_295,
    },
    only: { kind: "text", value: "KIND,…", summary: "only these kinds or groups of kinds" },
    here: { kind: "switch", summary: "drill the platform that runs, instead of a fresh one" },
    yes: { kind: "switch", summary: "with --here: its own apps may be drilled along" },
    report: {
      kind: "text",
      value: "DIR",
      summary: "writes report.html, report.svg, report.json and report.txt there",
    },
    json: jsonFlag,
  },
  notes: `Starts a platform of its own in a temporary home, and removes it afterwards. Everything in it is killed,
stopped, restarted and changed under load; what was acknowledged must have happened. Exit code 0 only when
every promise held. Groups: kill several stop pause restart change postgres target load cold cut scarce
clock disk. --here does it to the platform of this home, whose other apps feel it too.`,
  async run({ flags, out, home, client }) {
    const { drill, chooseKinds, kinds, toPage, toPicture, toText } = await import("../../drill/drill.ts");
    const words = (flags.only ?? "").split(",").filter(Boolean);
    const { chosen, unknown } = chooseKinds(words);
    for (const word of unknown) {
      const near = suggest(word, [...new Set(kinds.flatMap((kind) => [kind.name, kind.group]))]);
      throw new UsageError(
        `a drill has no kind "${word}"`,
        near === undefined ? "nines drill --help names the groups" : `did you mean ${near}?`,
      );
    }
    if (flags.report !== undefined) makeFolder(flags.report);
    if (flags.here && !flags.yes) await refuseOthers(client);
    const seed = flags.seed ?? Math.floor(Math.random() * 1_000_000);
    const minutes = flags.minutes ?? minutesAtFirst;
    const ending = new AbortController();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () =>
        ending.abort(
          new NinesError("unavailable", "the drill was ended early", { hint: "no verdict was reached" }),
        ),
      );
    }
    out.note(`nines drill, seed ${seed}, ${minutes} min`);
    const report = await drill(
      {
        version: manifest.version,
        minutes,
        seed,
        kinds: words.length === 0 ? kinds : chosen,
        signal: ending.signal,
        ...(flags.here ? { home } : {}),
        ...(flags.report === undefined ? {} : { evidence: join(flags.report, "evidence") }),
      },
      (news) => {
        if (news.kind === "phase") out.note(`  ${news.what}`);
        if (news.kind === "deed") {
          const { deed } = news;
          const what = deed.targets.length > 0 ? `${deed.kind} (${deed.targets.join(", ")})` : deed.kind;
          const back = deed.backMs === undefined ? "" : `back after ${Math.round(deed.backMs)} ms`;
          out.note(
            `  ${String(deed.index + 1).padStart(3)}/${news.of}  ${what}  ${deed.failure === undefined ? back : `FAILED: ${deed.failure}`}`,
          );
        }
      },
    );
    if (flags.report !== undefined) {
      writeFileSync(join(flags.report, "report.json"), `${JSON.stringify(report)}\n`);
      writeFileSync(join(flags.report, "report.html"), toPage(report));
      writeFileSync(join(flags.report, "report.svg"), toPicture(report));
      writeFileSync(join(flags.report, "report.txt"), `${toText(report)}\n${report.verdict.line}\n`);
    }
    if (flags.json) out.json(report);
    else {
      out.line(toText(report));
      out.line(out.paint(report.verdict.held ? "green" : "red", `VERDICT: ${report.verdict.line}`));
    }
    return report.verdict.held ? exitCodes.done : exitCodes.failed;
  },
});

/** Where nothing can be written, the drill would be for nothing. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    const code = systemCode(error);
    throw new UsageError(
      `--report ${path}: nothing can be written there${code === undefined ? "" : ` (${code})`}`,
      "name a folder of your own; it is made when it is not there",
    );
  }
}

/** Whoever has apps in service says that they may be hit. */
async function refuseOthers(client: Client): Promise<void> {
  const { apps } = await client.json<AppsReply>("/v1/apps");
  const names = apps.map(({ name }) => name);
  if (names.length === 0) return;
  throw new UsageError(
    `${names.join(", ")} would be drilled along: killed, starved and overloaded`,
    "if that is meant: nines drill --here --yes",
  );
}
